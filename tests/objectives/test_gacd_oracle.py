"""The GACD loss against a plain-loop oracle."""

from __future__ import annotations

import math

import pytest
import torch
from gacd_batch import N, make
from torch import Tensor
from torch.nn import functional as F

from robustfeat.numerics.random import generator
from robustfeat.objectives import GACD, Views


def softplus(x: float) -> float:
    return math.log1p(math.exp(x)) if x < 30 else x


def oracle(objective: GACD, views: Views, stored: Tensor | None = None) -> float:
    """The formula of the docstring, one number at a time, in Python floats."""
    v, u = views.teacher_clean.features.double(), views.student_attacked.features.double().detach()
    t, s = F.normalize(v, dim=1), F.normalize(u, dim=1)
    r = sum(math.sqrt(sum(float(x) ** 2 for x in row)) for row in v) / N
    scores = [[float(t[i] @ s[j]) / objective.tau for j in range(N)] for i in range(N)]
    count = N - 1 + (0 if stored is None else stored.shape[1])
    if stored is None:
        c = sum(math.exp(v) for row in scores for v in row) / N**2
    else:
        c = float((stored.double() / objective.tau).exp().mean())
    offset = math.log(c * count)
    total = weights = 0.0
    for i in range(N):
        probability = views.teacher_clean.logits[i].double().softmax(0)
        assert views.batch.labels is not None
        right = float(probability[views.batch.labels[i]])
        correct = float(int(probability.argmax()) == int(views.batch.labels[i]))
        w = {"none": 1.0, "teacher_probability": right**objective.beta, "teacher_correct": correct}[objective.weight]
        loss = softplus(-(scores[i][i] - offset))
        loss += sum(softplus(scores[i][j] - offset) for j in range(N) if j != i)
        if stored is not None:
            loss += sum(softplus(float(v) / objective.tau - offset) for v in stored[i])
        loss += objective.align * sum((float(a) - float(b)) ** 2 for a, b in zip(u[i], v[i], strict=True)) / r**2
        total, weights = total + w * loss, weights + w
    return total / weights


def guide(objective: GACD, views: Views) -> float:
    """Cross-entropy of the teacher's head on the student's features at the teacher's mean length, in Python floats."""
    v, u = views.teacher_clean.features.double(), views.student_attacked.features.double().detach()
    r = sum(math.sqrt(sum(float(x) ** 2 for x in row)) for row in v) / N
    weight, bias = views.teacher.head.weight.detach().double(), views.teacher.head.bias.detach().double()
    total = 0.0
    for i in range(N):
        length = math.sqrt(sum(float(x) ** 2 for x in u[i]))
        logits = [sum(float(a) * float(b) * r / length for a, b in zip(row, u[i], strict=True)) for row in weight]
        logits = [x + float(b) for x, b in zip(logits, bias, strict=True)]
        total += math.log(sum(math.exp(x) for x in logits)) - logits[int(views.labels[i])]
    return objective.guide * total / N


@pytest.mark.parametrize("weight", ["none", "teacher_probability"])
@pytest.mark.parametrize("tau", [0.07, 0.5])
@pytest.mark.parametrize(("beta", "align"), [(1.0, 0.0), (1.0, 50.0), (2.0, 3.0)])
def test_in_batch_loss_equals_the_oracle(weight: str, tau: float, beta: float, align: float) -> None:
    objective, views = make(GACD(tau=tau, weight=weight, beta=beta, align=align, view="clean"))
    terms = objective(views).terms
    assert terms["gacd"].item() == pytest.approx(oracle(objective, views), rel=1e-5)
    assert terms["guide"].item() == pytest.approx(guide(objective, views), rel=1e-5)


def test_bank_loss_equals_the_oracle() -> None:
    objective, views = make(GACD(view="clean", bank=16))
    objective.eval()
    columns = objective.student_bank.draw(views.rows, 16, generator(7))
    anchors = F.normalize(views.teacher_clean.features, dim=1)
    stored = torch.stack([objective.student_bank.vectors[columns[i]] @ anchors[i] for i in range(N)])
    assert objective(views).terms["gacd"].item() == pytest.approx(oracle(objective, views, stored), rel=1e-5)


def test_symmetric_adds_the_transposed_half() -> None:
    one, views = make(GACD(view="clean", weight="none"))
    two, views_two = make(GACD(view="clean", weight="none", symmetric=True))
    t, s = (F.normalize(x.detach(), dim=1) for x in (views.teacher_clean.features, views.student_clean.features))
    scores = (s @ t.T) / one.tau
    offset = float(scores.exp().mean().log()) + math.log(N - 1)
    a = scores - offset
    other = F.softplus(-a.diagonal()) + F.softplus(a).sum(1) - F.softplus(a.diagonal())
    expected = float(one(views).terms["gacd"]) + float(other.mean())
    assert float(two(views_two).terms["gacd"]) == pytest.approx(expected, rel=1e-5)
