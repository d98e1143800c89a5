"""Settings of GACD that do not fit each other, the data or the teacher are refused by name."""

from __future__ import annotations

import pytest
import torch

from robustfeat.objectives import GACD, Spaces
from robustfeat.random import generator

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
        {"map_dim": 0},
    ],
)
def test_impossible_options(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        GACD(**options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="teacher_head"):
        GACD(teacher_map="fixed", guide=0, inner_loss="teacher_head")
    with pytest.raises(ValueError, match="guide=0"):
        GACD(teacher_map="fixed")
    with pytest.raises(ValueError, match="align=0"):
        GACD(teacher_map="trained", guide=0)
