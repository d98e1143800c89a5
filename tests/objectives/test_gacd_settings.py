"""Settings of GACD that do not fit each other, the data or the teacher are refused by name."""

from __future__ import annotations

import pytest
import torch

from robustfeat.numerics.random import generator
from robustfeat.numerics.types import Batch, Output
from robustfeat.objectives import GACD, Spaces, Views
from robustfeat.objectives.rightness import entropy
from robustfeat.testing import small_network

N = 8


@pytest.mark.parametrize(
    ("options", "spaces", "message"),
    [
        ({}, {"teacher_classes": 7}, "7 classes"),
        ({}, {"teacher_dim": None}, "teacher"),
        ({"view": "teacher_adv"}, {"labels": None}, "no labels"),
        ({"weight": "teacher_correct", "inner_loss": "cosine"}, {"labels": None}, "no labels"),
    ],
)
def test_settings_that_do_not_fit(options: dict[str, object], spaces: dict[str, object], message: str) -> None:
    fitting = {
        "student_dim": 8,
        "classes": 4,
        "samples": N,
        "teacher_dim": 8,
        "teacher_classes": 4,
        "labels": torch.arange(N) % 4,
    }
    with pytest.raises(ValueError, match=message):
        GACD(**options).setup(Spaces(**{**fitting, **spaces}), generator(0))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"tau": 0},
        {"tau": float("nan")},
        {"align": -1},
        {"guide": -1},
        {"beta": -1},
        {"bank": -1},
        {"ce": -0.1},
        {"igdm": -0.1},
        {"map_dim": 0},
    ],
)
def test_impossible_options(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        GACD(**options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="weight_on='attacked'"):
        GACD(weight="entropy")
    with pytest.raises(ValueError, match="teacher_head"):
        GACD(teacher_map="fixed", guide=0, inner_loss="teacher_head")
    with pytest.raises(ValueError, match="guide=0"):
        GACD(teacher_map="fixed")
    with pytest.raises(ValueError, match="align=0"):
        GACD(teacher_map="trained", guide=0)


def test_a_teacher_of_one_class_has_no_entropy() -> None:
    with pytest.raises(ValueError, match="no entropy"):
        entropy(torch.zeros(3, 1), None)


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_a_map_between_widths_trains_at_the_usual_rate_whatever_the_scale(scale: float) -> None:
    """The default recipe's SGD on the map alone, which alignment made grow without end once."""
    random = generator(0)
    features, targets = (torch.rand(N, width, generator=random) for width in (40, 24))
    teacher = small_network(1, classes=4)
    teacher.model.fc = torch.nn.utils.skip_init(torch.nn.Linear, 24, 4)
    torch.nn.init.normal_(teacher.model.fc.weight, generator=random)
    torch.nn.init.zeros_(teacher.model.fc.bias)
    objective, labels = GACD(view="clean"), torch.arange(N) % 4
    objective.setup(Spaces(40, 4, N, 24, 4, labels), random)
    views = Views(small_network(0), teacher, Batch(torch.zeros(N, 3, 8, 8), labels, torch.arange(N)), random)
    views.teacher_clean = Output(targets, (targets @ teacher.head.weight.T).detach())
    views.student_clean = Output(scale * features, torch.zeros(N, 4))
    trained = torch.optim.SGD(objective.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    found = []
    for _ in range(200):
        loss = torch.stack(list(objective(views).terms.values())).sum()
        assert loss.isfinite()
        trained.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        trained.step()
        found.append(loss.item())
    assert found[-1] < 0.7 * found[0]
