"""IAD's weight: when it sets in, where it comes from, and that a resumed run knows."""

from __future__ import annotations

import pytest
import torch
from given_views import LABELS, double, given, ready, student_tables, teacher_tables
from plain_losses import softmax


def weights(objective: torch.nn.Module, teacher_logits: list[list[float]]) -> torch.Tensor:
    student, teacher = ([double(t) for t in tables] for tables in (student_tables(), teacher_tables()))
    teacher[3] = double(teacher_logits).requires_grad_()
    return objective(given(student, teacher)).notes["weight"]


def test_weight_is_how_right_the_teacher_is_on_the_attacked_image() -> None:
    logits = [[2.0, 0, 0, 0], [0, 0, 3.0, 0], [0, 0, 50.0, 0], [50.0, 0, 0, 0], [0, 0, 0, 0]]
    found = weights(ready("iad").double(), logits)
    expected = [softmax(row)[label] ** 0.1 for row, label in zip(logits, LABELS, strict=True)]
    assert found.tolist() == pytest.approx(expected, abs=1e-9)
    assert not found.requires_grad


def test_warm_up_counts_optimiser_steps_and_survives_a_restart() -> None:
    one, two = ready("iad", warmup_steps=2), ready("iad", warmup_steps=2)
    logits = teacher_tables()[3]
    for _ in range(2):
        assert weights(one, logits).tolist() == [1.0] * len(LABELS)
        assert weights(one, logits).tolist() == [1.0] * len(LABELS)  # parts of one step do not count
        two.load_state_dict(one.state_dict())
        one.after_step()
        two.after_step()
    for objective in (one, two):
        assert all(0 < w < 1 for w in weights(objective, logits).tolist())


def test_terms_have_the_same_names_before_and_after() -> None:
    objective = ready("iad", warmup_steps=1)
    student, teacher = ([double(t) for t in tables] for tables in (student_tables(), teacher_tables()))
    before = objective(given(student, teacher)).terms
    objective.after_step()
    after = objective(given(student, teacher)).terms
    assert list(before) == list(after) == ["kl", "self_kl"]
    assert before["self_kl"].item() == 0
    assert after["self_kl"].item() > 0
