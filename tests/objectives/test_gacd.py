"""The GACD loss against a plain-loop oracle, its gradients part by part, and the traps of the method."""

from __future__ import annotations

import logging
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robustfeat.attacks import Threat
from robustfeat.distiller import Distiller
from robustfeat.objectives import GACD, Spaces, Views
from robustfeat.objectives.critic import Critic
from robustfeat.random import generator
from robustfeat.testing import small_network
from robustfeat.types import Batch, Losses

N, CLASSES = 8, 4


def make(objective: GACD, *, labels: bool = True, width: int | None = None) -> tuple[GACD, Views]:
    """An objective that is set up, and the views of one batch without an attack."""
    student, teacher = small_network(0, "cnn_small" if width is None else "cnn_tiny"), small_network(1, "cnn_small")
    if width is not None:
        with torch.random.fork_rng(devices=[]):
            student.model.body[-3] = nn.Conv2d(64, width, 3, padding=1, stride=2, bias=False)
            student.model.body[-2] = nn.BatchNorm2d(width)
            student.model.fc, student.feature_dim = nn.Linear(width, CLASSES), width
    y = torch.arange(N) % CLASSES if labels else None
    spaces = Spaces(student.feature_dim, CLASSES, N, teacher.feature_dim, CLASSES, y)
    objective.setup(spaces, generator(5))
    images = torch.rand(N, 3, 8, 8, generator=generator(6))
    return objective, Views(student.eval(), teacher.eval(), Batch(images, y, torch.arange(N)), generator(7))


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


def gradient(objective: GACD, loss: Tensor, views: Views) -> float:
    weights = [p for n, p in views.student.named_parameters() if "fc" not in n]
    found = torch.autograd.grad(loss, weights, allow_unused=True)
    return sum(float(g.abs().sum()) for g in found if g is not None)


@pytest.mark.parametrize("part", ["positive", "live negatives", "symmetric", "alignment", "guide"])
def test_every_part_by_itself_trains_the_student(part: str) -> None:
    """Trap 1: against a detached bank the teacher-as-anchor half has no gradient at all."""
    objective, views = make(GACD(view="clean"))
    targets, moved = views.teacher_clean.features, views.student_clean.features
    objective.targets(targets)
    scores = F.normalize(targets, dim=1) @ F.normalize(moved, dim=1).T / objective.tau
    itself = torch.eye(N, dtype=torch.bool)
    loss = {
        "positive": lambda: objective.critic(torch.where(itself, scores, scores.detach()))[0],
        "live negatives": lambda: objective.critic(torch.where(itself, scores.detach(), scores))[0],
        "symmetric": lambda: objective.critic(scores.T)[0],
        "alignment": lambda: objective.alignment(targets, moved),
        "guide": lambda: objective.through_head(moved, views),
    }[part]()
    assert gradient(objective, loss.sum(), views) > 1e-4


def test_stored_negatives_alone_train_nothing() -> None:
    objective, views = make(GACD(view="clean", bank=4))
    anchors = F.normalize(views.teacher_clean.features, dim=1)
    stored = objective._stored("student_bank", anchors, views)
    assert stored is not None
    assert not stored.requires_grad


@pytest.mark.parametrize(("agreement", "value"), [(0.0, 11.50), (0.095, 10.14)])
def test_the_usable_form_starts_near_log_cn_plus_one(agreement: float, value: float) -> None:
    """Trap 2, M = 50,000, N = 16,384, d = 128, tau = 0.07, random unit vectors.

    Positives cost log(cN) less their mean t.s / tau, the negatives 1: 11.50 with c = 2.22 where the positives know nothing of
    their anchors, 10.14 where their mean cosine is 0.095. The paper form, with N / M in place of c N, costs tens of thousands.
    """
    m, n, d, tau, batch = 50_000, 16_384, 128, 0.07, 64
    random = generator(0)
    bank = F.normalize(torch.randn(m, d, generator=random), dim=1)
    t, noise = (F.normalize(torch.randn(batch, d, generator=random), dim=1) for _ in range(2))
    noise = F.normalize(noise - (noise * t).sum(1, keepdim=True) * t, dim=1)
    s = agreement * t + math.sqrt(1 - agreement**2) * noise
    stored = (t @ bank.T).gather(1, torch.randint(m, (batch, n), generator=random))
    critic = Critic()
    # Only the positive and the stored negatives, as in CRD: live negatives are moved out of reach.
    positive = (t * s).sum(1)
    scores = torch.full((batch, batch), -10.0).masked_fill(torch.eye(batch, dtype=torch.bool), 0) + positive.diag()
    loss, _ = critic(scores / tau, stored / tau)
    c = float(critic.c)
    assert c == pytest.approx(math.exp(1 / (2 * d * tau**2)), rel=0.02)
    # The literal code of CRD: x = exp(t.s/tau) / Z, Z = mean * M, with positives x / (x + N/M).
    x, x_positive = (stored / tau).exp() / (c * m), (positive / tau).exp() / (c * m)
    literal = -torch.log(x_positive / (x_positive + n / m)) - torch.log((n / m) / (x + n / m)).sum(1)
    torch.testing.assert_close(loss, literal, atol=0.02, rtol=0)
    assert float(loss.mean()) == pytest.approx(value, abs=0.05)
    e, e_positive = (stored / tau).exp(), (positive / tau).exp()
    paper = -torch.log(e_positive / (e_positive + n / m)) - torch.log((n / m) / (e + n / m)).sum(1)
    assert 20_000 < float(paper.mean()) < 30_000


def test_the_constant_is_that_of_the_first_training_batch() -> None:
    objective, views = make(GACD(inner_loss="objective"))
    attack = objective.inner(views)
    assert attack is not None
    assert torch.isfinite(attack(views.clean)).all()
    assert float(objective.critic.c) == 0, "an attack decided it"
    objective(views)
    t, s = (F.normalize(x.detach(), dim=1) for x in (views.teacher_clean.features, views.student_attacked.features))
    first = (t @ s.T / objective.tau).exp().mean()
    torch.testing.assert_close(objective.critic.c, first)
    objective.critic(torch.ones(N, N))
    torch.testing.assert_close(objective.critic.c, first)


def test_weights() -> None:
    for weight in ("none", "teacher_correct", "teacher_probability"):
        objective, views = make(GACD(weight=weight, beta=0.5))
        w = objective.rightness(views)
        probability = views.teacher_clean.logits.softmax(1)
        right = torch.stack([probability[i, views.labels[i]] for i in range(N)])
        expected = {"none": torch.ones(N), "teacher_correct": (probability.argmax(1) == views.labels).float()}
        torch.testing.assert_close(w, expected.get(weight, right**0.5))
        assert not w.requires_grad
    objective, views = make(GACD(inner_loss="cosine"), labels=False)
    torch.testing.assert_close(objective.rightness(views), views.teacher_clean.logits.softmax(1).amax(1))


def test_a_sample_without_weight_has_no_influence() -> None:
    objective, views = make(GACD(weight="teacher_correct", view="clean", align=0))
    wrong = (objective.rightness(views) == 0).nonzero().flatten()
    assert 0 < len(wrong) < N
    t, s = (F.normalize(x, dim=1) for x in (views.teacher_clean.features, views.student_clean.features))
    scores = t @ s.T / objective.tau
    loss, _ = objective.critic(scores)
    kept = [i for i in range(N) if i not in wrong.tolist()]
    assert float(objective(views).terms["gacd"]) == pytest.approx(float(loss[kept].mean()), rel=1e-5)


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


def test_state_is_complete() -> None:
    """Trap 4: a restored objective continues with the same bank and c."""
    one, views = make(GACD(view="clean", bank=4, symmetric=True))
    one.train()
    one(views)
    one.after_step()
    two, _ = make(GACD(view="clean", bank=4, symmetric=True))
    two.load_state_dict(one.state_dict())
    assert float(two.critic.c) > 0
    losses: list[Losses] = []
    for objective in (one, two):
        fresh = Views(views.student, views.teacher, views.batch, generator(9))
        losses.append(objective(fresh))
        objective.after_step()
    assert torch.equal(losses[0].terms["gacd"], losses[1].terms["gacd"])
    assert torch.equal(one.student_bank.vectors, two.student_bank.vectors)


def test_mutual_information_bound() -> None:
    objective, views = make(GACD(view="clean"))
    notes = objective(views).notes
    assert float(notes["mutual_information"]) < math.log(N - 1)
    assert notes["weight"].shape == (N,)


def test_a_teacher_that_is_always_right_is_said(caplog: pytest.LogCaptureFixture) -> None:
    objective, views = make(GACD(view="clean"))
    with torch.no_grad():
        views.teacher.head.weight.mul_(0)
    views.batch.labels[:] = 0  # type: ignore[index]
    with torch.no_grad():
        views.teacher.head.bias.copy_(torch.tensor([50.0, 0, 0, 0]))
    objective.train()
    with caplog.at_level(logging.WARNING):
        objective(views)
    assert "no-op" in caplog.text
