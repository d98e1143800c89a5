"""The memory bank against plain loops and counts."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import chisquare

from robustfeat.numerics.random import generator
from robustfeat.objectives.memory import MemoryBank

LABELS = torch.tensor([3, 0, 1, 1, 0, 3, 3, 3, 1, 0, 4])  # class 2 has no sample, class 4 has one


def bank(seed: int = 0, momentum: float = 0.5, labels: torch.Tensor = LABELS) -> MemoryBank:
    return MemoryBank(labels, 6, momentum, generator(seed))


def test_draws_are_uniform_over_the_other_classes() -> None:
    rows = torch.arange(len(LABELS))
    drawn = bank().draw(rows, 4000, generator(1))
    assert drawn.shape == (len(LABELS), 4000)
    for row in rows.tolist():
        others = [j for j in range(len(LABELS)) if LABELS[j] != LABELS[row]]
        counts = torch.bincount(drawn[row], minlength=len(LABELS))
        assert counts[[j for j in range(len(LABELS)) if j not in others]].sum() == 0
        assert chisquare(counts[others]).pvalue > 1e-3


def test_without_classes_only_the_sample_itself_is_left_out() -> None:
    drawn = bank(labels=torch.arange(7)).draw(torch.arange(7), 2000, generator(2))
    for row in range(7):
        counts = torch.bincount(drawn[row], minlength=7)
        assert counts[row] == 0
        assert chisquare([count for j, count in enumerate(counts.tolist()) if j != row]).pvalue > 1e-3


def test_draws_depend_on_the_generator_alone() -> None:
    rows = torch.tensor([4, 0, 4])
    assert torch.equal(bank(0).draw(rows, 50, generator(3)), bank(1).draw(rows, 50, generator(3)))
    assert not torch.equal(bank(0).draw(rows, 50, generator(3)), bank(0).draw(rows, 50, generator(4)))


def test_one_class_has_no_negatives() -> None:
    with pytest.raises(ValueError, match="at least two classes"):
        bank(labels=torch.zeros(5, dtype=torch.long))


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_update_is_a_normalised_moving_average(momentum: float) -> None:
    memory = bank(momentum=momentum)
    before = memory.vectors.clone()
    rows, new = torch.tensor([7, 2, 9]), torch.randn(3, 6, generator=generator(5))
    memory.update(rows, new)
    for i in range(len(LABELS)):
        if i not in rows.tolist():
            assert torch.equal(memory.vectors[i], before[i])
    for position, i in enumerate(rows.tolist()):
        mixed = [momentum * float(before[i, k]) + (1 - momentum) * float(new[position, k]) for k in range(6)]
        length = math.sqrt(sum(value**2 for value in mixed))
        assert memory.vectors[i].tolist() == pytest.approx([value / length for value in mixed], abs=1e-6)


def test_update_carries_no_gradient_and_takes_half_precision() -> None:
    memory = bank()
    memory.update(torch.tensor([0]), torch.ones(1, 6, dtype=torch.float16, requires_grad=True))
    assert not memory.vectors.requires_grad
    assert memory.vectors.dtype == torch.float32


def test_scores_are_those_of_gathered_vectors() -> None:
    memory = bank()
    queries = torch.randn(150, 6, generator=generator(6), requires_grad=True)  # more than are scored at once
    columns = memory.draw(torch.arange(150) % len(memory), 20, generator(7))
    gathered = torch.einsum("nd,nkd->nk", queries, memory.vectors[columns])
    scores = memory.scores(queries, columns)
    torch.testing.assert_close(scores, gathered)
    weights = torch.randn(150, 20, generator=generator(8))
    (gradient,) = torch.autograd.grad((scores * weights).sum(), queries)
    (expected,) = torch.autograd.grad((gathered * weights).sum(), queries)
    torch.testing.assert_close(gradient, expected)


def test_the_state_dict_is_the_whole_state() -> None:
    memory, other = bank(0), bank(1)
    memory.update(torch.tensor([1, 4]), torch.randn(2, 6, generator=generator(9)))
    tensors = {name for name, value in vars(memory).items() if isinstance(value, torch.Tensor)}
    assert not tensors, "a tensor that is no buffer is lost in a checkpoint"
    assert set(memory.state_dict()) == {name for name, _ in memory.named_buffers()}
    other.load_state_dict(memory.state_dict())
    rows, new = torch.tensor([3, 1, 8]), torch.randn(3, 6, generator=generator(10))
    for one in (memory, other):
        one.update(rows, new)
    columns = memory.draw(rows, 30, generator(11))
    assert torch.equal(columns, other.draw(rows, 30, generator(11)))
    assert torch.equal(memory.scores(new, columns), other.scores(new, columns))
    assert len(other) == len(LABELS)
