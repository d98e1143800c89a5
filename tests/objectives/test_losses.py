"""The losses of all objectives against plain loops over Python floats, with golden numbers, and what each term trains."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from given_views import (
    SEEN,
    STUDENT,
    double,
    given,
    ready,
    student_tables,
    teacher_tables,
)
from loss_oracles import ORACLES
from plain_losses import Table
from torch import Tensor

from robustfeat.objectives import Objective

FITTING = {"fare": {"teacher_dim": STUDENT}}
# Which outputs of the student each term has a gradient to.
TRAINS = {
    "natural": {"ce": {"logits"}},
    "at": {"ce": {"attacked logits"}},
    "trades": {"ce": {"logits"}, "kl": {"logits", "attacked logits"}},
    "nfgsm": {"ce": {"attacked logits"}},
    "kd": {"kl": {"logits"}, "ce": {"logits"}},
    "crd": {"ce": {"logits"}, "crd": {"features"}},
    "rrm": {"ce": {"logits"}, "cosine": {"features"}},
    "fitnet": {"hint": {"features"}},
    "rkd": {"ce": {"logits"}, "distance": {"features"}, "angle": {"features"}},
    "fare": {"distance": {"attacked features"}},
    "ard": {"kl": {"attacked logits"}},
    "iad": {"kl": {"attacked logits"}, "self_kl": {"logits", "attacked logits"}},
    "rslad": {"kl": {"attacked logits"}, "clean_kl": {"logits"}},
    "adaad": {"kl": {"attacked logits"}},
    "gacd": {"gacd": {"attacked features"}, "guide": {"attacked features"}},
}
# The sum of the oracle's terms, worked out once.
GOLDEN = {
    "natural": 1.072583745,
    "at": 2.692485336,
    "nfgsm": 2.692485336,
    "trades": 13.183529811,
    "kd": 3.965332134,
    "crd": 7.029719056,
    "rrm": 0.084206570,
    "fitnet": 19.009179448,
    "rkd": 8.867657847,
    "fare": 12.251077091,
    "ard": 1.643124934,
    "iad": 1.439300627,
    "rslad": 1.517037387,
    "adaad": 2.262142664,
    "gacd": 48.375677975,
}
OTHER_OPTIONS = [
    ("kd", {"temperature": 1.5, "ce": 0.3}),
    ("crd", {"tau": 0.5, "negatives": 2, "dim": 7, "crd": 2.0}),
    ("rrm", {"teacher_dim": STUDENT, "ce": 0.5}),
    ("fitnet", {"teacher_dim": STUDENT}),
    ("rkd", {"distance": 1.0, "angle": 2.0}),
    ("ard", {"alpha": 0.25, "temperature": 2.0}),
    ("iad", {"beta": 1.0}),
    ("iad", {"warmup_steps": 1}),
    ("rslad", {"alpha": 0.5}),
    ("trades", {"beta": 1.0}),
    ("gacd", {"tau": 0.7, "align": 0.0, "beta": 2.0}),
    ("gacd", {"guide": 0.0}),
    ("rslad", {"igdm": 2.0}),
    ("adaad", {"igdm": 10.0}),
    ("gacd", {"igdm": 3.0}),
    ("gacd", {"igdm": 3.0, "guide": 0.0, "teacher_dim": STUDENT}),
    ("gacd", {"weight": "entropy", "weight_on": "attacked"}),
    ("gacd", {"weight": "entropy", "weight_on": "attacked", "beta": 2.0, "align": 1.0}),
    ("gacd", {"align": 2.0, "weight": "none", "teacher_dim": STUDENT}),
]


def case(name: str, **options: Any) -> tuple[Objective, list[Table], list[Table]]:
    options = FITTING.get(name, {}) | options
    width = options.get("teacher_dim")
    objective = ready(name, **options)  # type: ignore[arg-type]
    return objective, student_tables(), teacher_tables() if width is None else teacher_tables(width)


def terms(objective: Objective, student: list[Tensor], teacher: list[Table]) -> dict[str, Tensor]:
    return objective(given(student, [double(t) for t in teacher])).terms


@pytest.mark.parametrize(("name", "options"), [(name, {}) for name in ORACLES] + OTHER_OPTIONS)
def test_terms_equal_the_oracle(name: str, options: dict[str, float]) -> None:
    objective, student, teacher = case(name, **options)
    expected = ORACLES[name](objective, student, teacher)
    found = terms(objective, [double(s) for s in student], teacher)
    assert {key: value.item() for key, value in found.items()} == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", list(ORACLES))
def test_golden_numbers(name: str) -> None:
    objective, student, teacher = case(name)
    found = terms(objective, [double(s) for s in student], teacher)
    assert sum(value.item() for value in found.values()) == pytest.approx(GOLDEN[name], abs=1e-6)


@pytest.mark.parametrize("name", list(ORACLES))
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    objective, student, teacher = case(name)

    def total(*outputs: Tensor) -> Tensor:
        return torch.stack(list(terms(objective, list(outputs), teacher).values())).sum()

    total(*(double(s) for s in student))  # what the first batch decides is decided
    assert torch.autograd.gradcheck(total, [double(s).requires_grad_() for s in student])


@pytest.mark.parametrize(("name", "term"), [(name, term) for name in TRAINS for term in TRAINS[name]])
def test_every_term_by_itself_trains_the_student(name: str, term: str) -> None:
    objective, student, teacher = case(name)
    outputs = [double(s).requires_grad_() for s in student]
    found = terms(objective, outputs, teacher)
    assert found.keys() == TRAINS[name].keys()
    gradients = torch.autograd.grad(found[term], outputs, allow_unused=True)
    reached = {key for key, g in zip(SEEN, gradients, strict=True) if g is not None and g.abs().sum() > 1e-6}
    assert reached == TRAINS[name][term]
