"""What the peers ask of student, teacher and data, and what they say when they do not get it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from given_views import LABELS, STUDENT, TEACHER, double, given, ready, student_tables, teacher_tables
from torch import nn

from robustfeat.numerics.random import generator
from robustfeat.objectives import OBJECTIVES, Spaces
from robustfeat.objectives.pair import affine

LOGITS = ["kd", "ard", "iad", "rslad", "adaad"]
FEATURES = ["crd", "rrm", "fitnet", "rkd", "fare"]
LABELLED = ["kd", "crd", "rrm", "rkd", "ard", "iad"]


def set_up(name: str, **changed: Any) -> Any:
    fitting = {"student_dim": 8, "classes": 4, "samples": 5, "teacher_dim": 8, "teacher_classes": 4}
    objective = OBJECTIVES[name]()
    objective.setup(Spaces(**{**fitting, "labels": torch.tensor(LABELS), **changed}), generator(0))
    return objective


@pytest.mark.parametrize("name", LOGITS + FEATURES)
def test_no_teacher(name: str) -> None:
    assert OBJECTIVES[name].needs_teacher
    with pytest.raises(ValueError, match=f"{name} distils from a teacher; give one"):
        set_up(name, teacher_dim=None, teacher_classes=None)


@pytest.mark.parametrize("name", LOGITS)
def test_logits_need_common_classes(name: str) -> None:
    with pytest.raises(ValueError, match="the teacher knows 7 classes and the data has 4: choose another teacher"):
        set_up(name, teacher_classes=7)


@pytest.mark.parametrize("name", FEATURES)
def test_features_do_not(name: str) -> None:
    set_up(name, teacher_classes=7)


@pytest.mark.parametrize("name", LABELLED)
def test_labels_are_asked_for_before_training(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} needs labels and the data set has none"):
        set_up(name, labels=None)


@pytest.mark.parametrize("name", sorted(set(LOGITS + FEATURES) - set(LABELLED)))
def test_without_labels(name: str) -> None:
    width = STUDENT if name == "fare" else TEACHER
    objective = ready(name, width, labels=None)
    student, teacher = ([double(t) for t in tables] for tables in (student_tables(), teacher_tables(width)))
    with_labels, without = (objective(given(student, teacher, labels)).terms for labels in (LABELS, None))
    assert {k: v.item() for k, v in with_labels.items()} == {k: v.item() for k, v in without.items()}


def test_fare_refuses_other_widths() -> None:
    with pytest.raises(ValueError, match=r"width 16; the student has 8\. Let the student start as the teacher's copy"):
        set_up("fare", teacher_dim=16)


@pytest.mark.parametrize("name", ["rrm", "fitnet"])
def test_other_widths_get_a_trained_map_that_belongs_to_the_objective(name: str) -> None:
    same, other, again = set_up(name), set_up(name, teacher_dim=16), set_up(name, teacher_dim=16)
    assert isinstance(same.student_side, nn.Identity)
    assert not list(same.parameters())
    assert {k: tuple(v.shape) for k, v in other.state_dict().items()} == {
        "student_side.weight": (16, 8),
        "student_side.bias": (16,),
    }
    assert all(p.requires_grad for p in other.parameters())
    assert torch.equal(other.student_side.weight, again.student_side.weight)  # they depend on the generator alone


def test_the_maps_are_trained() -> None:
    for name in ("rrm", "fitnet", "crd"):
        objective = ready(name)
        student, teacher = ([double(t) for t in tables] for tables in (student_tables(), teacher_tables()))
        sum(objective(given(student, teacher)).terms.values()).backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 1e-6 for p in objective.parameters()), name


def test_a_new_map_keeps_the_mean_square() -> None:
    x = torch.randn(500, 256, generator=generator(1))
    assert affine(256, 64, generator(2))(x).square().mean().item() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("name", LOGITS + FEATURES)
def test_where_the_head_and_the_best_weights_come_from(name: str) -> None:
    objective = OBJECTIVES[name]()
    assert objective.trains_head == (name not in ("fitnet", "fare"))
    assert objective.robust == (name in ("rrm", "fare", "ard", "iad", "rslad", "adaad"))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("kd", {"temperature": 0.0}),
        ("kd", {"ce": -1.0}),
        ("kd", {"ce": float("nan")}),
        ("crd", {"tau": 0.0}),
        ("crd", {"dim": 0}),
        ("crd", {"negatives": 0}),
        ("crd", {"crd": -0.8}),
        ("rrm", {"ce": -0.1}),
        ("rkd", {"distance": -1.0}),
        ("rkd", {"angle": float("nan")}),
        ("ard", {"alpha": 1.5}),
        ("ard", {"temperature": float("nan")}),
        ("iad", {"beta": -0.1}),
        ("iad", {"warmup_steps": -1}),
        ("rslad", {"alpha": -0.5}),
        ("rslad", {"igdm": -0.5}),
        ("adaad", {"igdm": float("nan")}),
    ],
)
def test_impossible_options(name: str, options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        OBJECTIVES[name](**options)


def test_one_class_has_no_negatives() -> None:
    with pytest.raises(ValueError, match="at least two classes"):
        set_up("crd", labels=torch.zeros(5, dtype=torch.long))
