"""CRD's memory: the authors' arithmetic at full size, what each half trains, and what the banks hold after a step."""

from __future__ import annotations

import math

import pytest
import torch
from given_views import N, double, given, ready, student_tables, teacher_tables
from torch import Tensor
from torch.nn import functional as F

from robustfeat.numerics.random import generator
from robustfeat.objectives import Spaces
from robustfeat.objectives.crd import CRD, embed


def tables() -> tuple[list[Tensor], list[Tensor]]:
    return [double(t) for t in student_tables()], [double(t) for t in teacher_tables()]


def literal(anchors: Tensor, bank: Tensor, columns: Tensor, tau: float) -> Tensor:
    """CRD's own code: gathered vectors, x = exp(u.v / tau) / Z with Z = mean M, x / (x + N / M + 1e-7), two logarithms."""
    m, n = len(bank), columns.shape[1] - 1
    x = torch.exp(torch.bmm(bank[columns], anchors[:, :, None]).squeeze(2) / tau)
    x = x / (x.mean() * m)
    right = torch.log(x[:, 0] / (x[:, 0] + n / m + 1e-7))
    wrong = torch.log(n / m / (x[:, 1:] + n / m + 1e-7))
    return -(right.sum() + wrong.sum()) / len(anchors)


@pytest.mark.parametrize(("agreement", "half"), [(0.0, 11.50), (0.095, 10.14)])
def test_the_authors_arithmetic_at_full_size(agreement: float, half: float) -> None:
    """Trap 2: M = 50,000, N = 16,384, d = 128, tau = 0.07, stored vectors and embeddings random.

    A half costs log(c N) + 1 less the mean of u.v / tau over the true pairs: 11.50 where the stored partners know nothing of
    their anchors, 10.14 where their mean cosine is 0.095.
    """
    m, d, batch = 50_000, 128, 16
    objective = CRD()
    labels = torch.arange(m) % 10
    objective.setup(Spaces(d, 10, m, d, 10, labels), generator(0))
    assert objective.drawn == 16_384
    rows = torch.arange(batch)
    features = [torch.randn(batch, d, generator=generator(0, side)) for side in (1, 2)]
    sides = [objective.student_side, objective.teacher_side]
    anchors = [embed(layer, f).detach() for layer, f in zip(sides, features, strict=True)]
    for u, bank in zip(anchors, (objective.teacher_bank, objective.student_bank), strict=True):
        noise = bank.vectors[rows] - (bank.vectors[rows] * u).sum(1, keepdim=True) * u
        bank.vectors[rows] = agreement * u + math.sqrt(1 - agreement**2) * F.normalize(noise, dim=1)
    logits = torch.zeros(batch, 10)
    outputs = [[f, logits, f, logits] for f in features]
    found = objective(given(outputs[0], outputs[1], labels[:batch].tolist())).terms["crd"].item() / objective.crd
    columns = torch.cat([rows[:, None], objective.student_bank.draw(rows, 16_384, generator(7))], dim=1)
    banks = objective.teacher_bank.vectors, objective.student_bank.vectors
    expected = [literal(u, bank, columns, 0.07).item() for u, bank in zip(anchors, banks, strict=True)]
    # 1e-7 in 16,384 logarithms is 0.005 in each half.
    assert found == pytest.approx(sum(expected), abs=0.015)
    assert expected == pytest.approx([half, half], abs=0.05)
    assert objective.c.tolist() == pytest.approx([math.exp(1 / (2 * d * 0.07**2))] * 2, rel=0.02)


def test_the_half_with_the_teacher_as_anchor_trains_its_layer_alone() -> None:
    """Trap 1: all it is compared with is a detached bank."""
    objective = ready("crd")
    assert isinstance(objective, CRD)
    student, teacher = tables()
    columns = torch.arange(N).repeat(N, 1)
    features = student[0].clone().requires_grad_()
    trained = [features, objective.student_side.weight, objective.teacher_side.weight]
    halves = [
        objective._half(bank.scores(embed(layer, outputs) / objective.tau, columns), torch.ones(()))
        for bank, layer, outputs in (
            (objective.teacher_bank, objective.student_side, features),
            (objective.student_bank, objective.teacher_side, teacher[0]),
        )
    ]
    reached = [[g is not None for g in torch.autograd.grad(h, trained, allow_unused=True)] for h in halves]
    assert reached == [[True, True, False], [False, False, True]]


def test_banks_are_written_after_the_step_and_not_in_it() -> None:
    objective = ready("crd")
    assert isinstance(objective, CRD)
    student, teacher = tables()
    objective.train()
    before = [bank.vectors.clone() for bank in (objective.student_bank, objective.teacher_bank)]
    objective(given(student, teacher))
    assert torch.equal(objective.student_bank.vectors, before[0])
    new = [embed(objective.student_side, student[0]), embed(objective.teacher_side, teacher[0])]
    objective.after_step()
    for bank, old, embedding in zip((objective.student_bank, objective.teacher_bank), before, new, strict=True):
        for i in range(N):
            mixed = [0.5 * a + 0.5 * b for a, b in zip(old[i].tolist(), embedding[i].tolist(), strict=True)]
            length = math.sqrt(sum(x * x for x in mixed))
            assert bank.vectors[i].tolist() == pytest.approx([x / length for x in mixed], abs=1e-9)
    objective.after_step()  # nothing is left to write
    objective.eval()
    objective(given(student, teacher))
    assert objective._seen == []


def test_negatives_are_as_many_as_every_class_has() -> None:
    objective = CRD(negatives=100)
    objective.setup(Spaces(8, 2, 10, 8, 2, torch.tensor([0] * 7 + [1] * 3)), generator(0))
    assert objective.drawn == 3  # the images of class 0 have no more
    objective = CRD(negatives=2)
    objective.setup(Spaces(8, 2, 10, 8, 2, torch.tensor([0] * 7 + [1] * 3)), generator(0))
    assert objective.drawn == 2


def test_state_is_complete() -> None:
    """A restored objective goes on with the same banks, layers and c."""
    one, two = ready("crd"), ready("crd")
    student, teacher = tables()
    one.train()
    one(given(student, teacher))
    one.after_step()
    with torch.no_grad():
        one.student_side.weight.mul_(1.5)  # type: ignore[union-attr]
    two.load_state_dict(one.state_dict())
    moved = [s + 0.1 for s in student]
    first, second = (o(given(moved, teacher)).terms["crd"] for o in (one, two))
    assert torch.equal(first, second)
    assert (two.c > 0).all()
