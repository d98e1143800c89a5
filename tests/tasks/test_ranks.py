"""Ten attackers on rankings: every metric against a plain sort, every loss against its metric."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from robustfeat.attacks import PGD, Threat
from robustfeat.data import MemoryImages
from robustfeat.evaluation import evaluate
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import generator
from robustfeat.tasks import Ranks
from robustfeat.tasks.ranks import KINDS


def data(n: int, seed: int) -> tuple[Tensor, Tensor]:
    labels = torch.arange(n) % 4
    centres = torch.randn(4, 8, generator=generator(80))
    return centres[labels] + torch.randn(n, 8, generator=generator(81, seed)), labels


GALLERY, GALLERY_LABELS = data(300, 0)
CLEAN, LABELS = data(40, 1)


def fitted(queries: int = 1) -> tuple[Ranks, Tensor, Tensor]:
    task = Ranks(queries).fit(GALLERY, GALLERY_LABELS)
    return task, *task.cases(LABELS, CLEAN)


@pytest.mark.parametrize("queries", [1, 3])
def test_every_metric_as_a_plain_loop(queries: int) -> None:
    task, rows, targets = fitted(queries)
    moved = CLEAN + 0.5 * torch.randn(CLEAN.shape, generator=generator(82))
    kept = task.judge(moved[rows], targets)["kept"]
    unit = {name: F.normalize(x.double(), dim=1) for name, x in {"g": GALLERY, "q": CLEAN, "x": moved}.items()}
    for row, target, value in zip(rows.tolist(), targets.tolist(), kept.tolist(), strict=True):
        name, (again, label), items = KINDS[target[0]], target[1:3], target[3:]
        assert (again, label) == (row, int(LABELS[row]))
        x, q, gallery = unit["x"][row], unit["q"][row], unit["g"]
        order = sorted(range(300), key=lambda j: -float(gallery[j] @ x))
        by_clean = sorted(range(300), key=lambda j: -float(gallery[j] @ q))
        right = int(GALLERY_LABELS[order[0]]) == label
        if name.startswith("ca"):
            before = [
                sum(float(g @ gallery[i]) > float(x @ gallery[i]) for j, g in enumerate(gallery) if j != i)
                for i in items
            ]
            rank = sum(before) / len(items) / 300
        else:
            rank = order.index(items[0]) / 300
        expected = {
            "ca+": min(1, 2 * rank),
            "ca-": 1 - rank,
            "qa+": min(1, 2 * rank),
            "qa-": 1 - rank,
            "tma": min(1, 1 - float(x @ unit["q"][items[0] % 40])),
            "es-d": (1 + float(x @ q)) / 2,
            "es-r": float(right),
            "ltm": float(right),
            "gtm": float(right),
            "gtt": float(by_clean[0] in order[:4]),
        }
        assert value == pytest.approx(expected[name], abs=1e-5), name
        if name in ("qa-", "ca-"):
            assert set(items) <= set(by_clean[:3]), "an item to be lowered is among the best hundredth"
        if name == "gtm":
            assert items[0] == next(j for j in by_clean if int(GALLERY_LABELS[j]) != label)
        if name == "gtt":
            assert items[0] == by_clean[0]
        if name == "tma":
            assert items[0] != row


def test_the_score_is_the_mean_of_ten() -> None:
    task, rows, targets = fitted()
    found = task.score(CLEAN[rows], targets)
    assert list(found) == ["ers", *KINDS]
    assert found["ers"] == pytest.approx(sum(found[name] for name in KINDS) / 10)
    assert found["es-d"] == pytest.approx(1)
    assert found["gtt"] == 1
    assert 0.3 < found["qa+"] < 0.95, "random items"
    assert found["qa-"] > 0.98
    # The paper's formula, in percent, from the quantities it names.
    rank = {name: found[name] / 2 if name[2] == "+" else 1 - found[name] for name in ("ca+", "ca-", "qa+", "qa-")}
    if all(found[name] < 1 for name in ("ca+", "qa+")):  # per case none may be cut at 1: then the formula is the same
        percent = 200 * rank["ca+"] + 100 - 100 * rank["ca-"] + 200 * rank["qa+"] + 100 - 100 * rank["qa-"]
        percent += 100 * found["tma"] + 50 * (2 - (2 - 2 * found["es-d"])) + 100 * sum(found[k] for k in KINDS[6:])
        assert 100 * found["ers"] == pytest.approx(percent / 10)


@pytest.mark.parametrize("name", KINDS)
def test_climbing_a_loss_lowers_its_metric(name: str) -> None:
    task, rows, targets = fitted()
    mine = targets[:, 0] == KINDS.index(name)
    x, targets = CLEAN[rows][mine], targets[mine]
    before = task.score(x, targets)[name]
    x = F.normalize(x + 0.01 * torch.randn(x.shape, generator=generator(83)), dim=1)
    for _ in range(60):
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(task.loss(x, targets).sum(), x)
        x = x + 0.05 * F.normalize(gradient, dim=1)
    assert task.score(x.detach(), targets)[name] < before - 0.15


def test_through_pixels(extractor: FeatureExtractor) -> None:
    """A network that nobody has trained gives everything away; the report has every attacker's number."""
    random = generator(84)
    train, test = (
        MemoryImages("noise", torch.randint(256, (n, 3, 8, 8), generator=random).byte(), torch.arange(n) % 4)
        for n in (60, 12)
    )
    attack = PGD(Threat("linf", Eps("32/255")), steps=10)
    report = evaluate(extractor, ["ranks"], train, test, [attack], progress=False, examined=0)
    assert report.value("ranks", "ers", "pgd") < report.value("ranks", "ers") - 0.2
    assert {row.metric for row in report.rows if row.attack == "pgd"} == {"ers", *KINDS}
    assert all(row.low <= row.value <= row.high for row in report.rows)


def test_a_query_without_right_items_does_not_count() -> None:
    task = Ranks().fit(GALLERY, GALLERY_LABELS)
    labels = LABELS.clone()
    labels[0] = 9
    rows, targets = task.cases(labels, CLEAN)
    judged = task.judge(CLEAN[rows], targets)["kept"]
    lone = (rows == 0) & (targets[:, 0] >= KINDS.index("es-r")) & (targets[:, 0] < KINDS.index("gtt"))
    assert judged[lone].isnan().all()
    assert not judged[~lone].isnan().any()
    assert torch.isfinite(task.loss(CLEAN[rows], targets)).all()


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="queries must be at least 1, got 0"):
        Ranks(0)
    with pytest.raises(ValueError, match="at least 8 gallery items of two classes, got 3 of 3"):
        Ranks().fit(GALLERY[:3], GALLERY_LABELS[:3])
    with pytest.raises(RuntimeError, match="call fit first"):
        Ranks().cases(LABELS, CLEAN)
    with pytest.raises(ValueError, match="queries = 200 is more than half of the 300"):
        Ranks(200).fit(GALLERY, GALLERY_LABELS).cases(LABELS, CLEAN)
    with pytest.raises(ValueError, match="at least two test images, got 1"):
        Ranks().fit(GALLERY, GALLERY_LABELS).cases(LABELS[:1], CLEAN[:1])
    with pytest.raises(ValueError, match="width 3, the task was fitted on width 8"):
        Ranks().fit(GALLERY, GALLERY_LABELS).cases(LABELS, CLEAN[:, :3])
