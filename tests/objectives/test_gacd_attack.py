"""The attack inside GACD: what it climbs, what the student sees, and what it leaves as it was."""

from __future__ import annotations

import pytest
import torch
from gacd_batch import make
from torch.nn import functional as F

from robustfeat.attacks import Threat
from robustfeat.numerics.random import generator
from robustfeat.objectives import GACD, Views
from robustfeat.training.distiller import Distiller


@pytest.mark.parametrize("inner_loss", ["cosine", "teacher_head", "objective"])
@pytest.mark.parametrize("width", [None, 32])
def test_the_inner_attack_raises_what_it_says(inner_loss: str, width: int | None) -> None:
    objective, views = make(GACD(inner_loss=inner_loss), width=width)
    loss = objective.inner(views)
    assert loss is not None
    attacked = objective.attack(Threat("linf"), 5, None)(loss, views.clean, generator=generator(0))
    assert loss(attacked).mean() > loss(views.clean).mean()
    assert (attacked - views.clean).abs().max() <= 8 / 255 + 1e-6


def test_views_of_the_student() -> None:
    clean, views = make(GACD(view="clean"))
    assert clean.inner(views) is None
    teacher, views = make(GACD(view="teacher_adv"))
    loss = teacher.inner(views)
    assert loss is not None
    torch.testing.assert_close(
        loss(views.clean), F.cross_entropy(views.teacher(views.clean).logits, views.labels, reduction="none")
    )


def test_using_a_cached_output_in_the_attack_is_an_error() -> None:
    """Trap 5."""

    class Careless(GACD):
        def inner(self, views: Views):  # type: ignore[no-untyped-def]
            return lambda images: (images * views.student_clean.features.mean()).flatten(1).sum(1)

    objective, views = make(Careless())
    distiller = Distiller(views.student, views.teacher, objective, Threat("linf"), steps=1)
    with pytest.raises(RuntimeError, match=r"views\.student\(images\)"):
        distiller(views.batch, (0, 0, 0))


def test_modes_survive_the_attack_and_statistics_do_not_move_in_it() -> None:
    """Trap 6: the attack runs in eval mode; batch norm sees each training image once."""
    objective, views = make(GACD())
    distiller = Distiller(views.student, views.teacher, objective, Threat("linf"), steps=3).train()
    norm = views.student.model.body[1]
    before = int(norm.num_batches_tracked)
    frozen = views.student.model.body[4].eval()
    distiller(views.batch, (0, 0, 0))
    assert int(norm.num_batches_tracked) == before + 1
    assert views.student.training
    assert not frozen.training
    assert not views.teacher.training
