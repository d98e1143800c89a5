"""Paired comparison against closed forms."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest
import torch
from scipy.stats import binom
from sklearn.metrics import roc_auc_score
from torch import Tensor

from robustfeat.attacks import FGSM, Threat
from robustfeat.data import dataset
from robustfeat.evaluation import compare, evaluate
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import generator
from robustfeat.report import CaseKey, DataFacts, Report, Row, Sized, Splits, Title

DATA = Splits(test=DataFacts("digits", 100, "ab"))


def report(model: str, hits: Tensor) -> Report:
    row = Row("probe", "accuracy", "pgd", None, "", float(hits.mean()), 0.0, 1.0, len(hits), 1.0)
    cases = {
        CaseKey(row.task, "accuracy", "pgd"): hits,
        CaseKey(row.task, "rows"): torch.arange(len(hits)),
        CaseKey(row.task, "targets"): torch.zeros(len(hits)),
    }
    return Report(model, DATA, "linf 8/255", (row,), {Sized("pgd"): "PGD"}, cases=cases)


@pytest.mark.parametrize(("better", "worse"), [(9, 1), (5, 5), (0, 0), (30, 12), (0, 6)])
def test_a_rate_by_mcnemar(better: int, worse: int) -> None:
    one, two = torch.zeros(100), torch.zeros(100)
    one[:20] = two[:20] = 1
    two[20 : 20 + better] = 1
    one[20 + better : 20 + better + worse] = 1
    (found,) = compare(report("a", one), report("b", two))
    n, k = better + worse, min(better, worse)
    expected = min(1.0, 2 * binom.cdf(k, n, 0.5)) if n else 1.0
    assert found.p == pytest.approx(expected)
    assert found.difference == pytest.approx((better - worse) / 100)
    spread = ((better + worse) / 100 - found.difference**2) ** 0.5 / 10
    assert found.low == pytest.approx(found.difference - 1.96 * spread, abs=0.015)
    assert found.high == pytest.approx(found.difference + 1.96 * spread, abs=0.015)


def test_a_size_of_a_ladder_is_not_the_attack_of_that_size_alone() -> None:
    """It starts from what the smaller sizes have found."""
    hits = torch.ones(100)
    alone, other = report("a", hits), report("b", hits)
    sizes = {Sized("pgd", Eps(n / 255)): f"PGD({n})" for n in (4, 8)}
    rungs = tuple(dataclasses.replace(alone.rows[0], eps=eps) for _, eps in sizes)
    keys = {key._replace(eps=eps) if key.attack else key for key in alone.cases for _, eps in sizes}
    ladder = dataclasses.replace(alone, rows=rungs, attacks=sizes, cases=dict.fromkeys(keys, hits))
    assert [d.eps for d in compare(ladder, dataclasses.replace(ladder, model="b"))] == [4 / 255, 8 / 255]
    single = dataclasses.replace(other, rows=rungs[1:], attacks={Sized("pgd", Eps("8/255")): "PGD(8)"})
    assert compare(ladder, single) == compare(single, ladder) == []


def test_models_that_are_the_same_do_not_differ(
    extractor: FeatureExtractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["robustfeat.evaluation.paired"], "RESAMPLES", 100)
    data = dataset("digits", "train[:200]"), dataset("digits", "test[:30]")
    attack = FGSM(Threat("linf", 0.02))
    found = evaluate(extractor, ["probe", "retrieval", "anomaly"], *data, [attack], examined=0, progress=False)
    found.save(tmp_path / "a.json")
    again = Report.load(tmp_path / "a.json")
    assert again.cases.keys() == found.cases.keys()
    differences = compare(found, again)
    assert [(d.task, d.metric, d.attack) for d in differences] == [(r.task, r.metric, r.attack) for r in found.rows]
    assert all(d.difference == d.low == d.high == 0 and d.p == 1 for d in differences)


def test_auroc_is_recomputed_from_the_scores(extractor: FeatureExtractor) -> None:
    """A model whose scores are shuffled loses; the difference is that of scikit-learn."""
    data = dataset("digits", "train[:300]"), dataset("digits", "test[:100]")
    good = evaluate(extractor, ["anomaly"], *data, examined=0, progress=False)
    key = CaseKey(Title("anomaly"), "anomaly", "none")
    shuffled = good.cases[key][torch.randperm(1000, generator=generator(0))]
    targets = good.cases[CaseKey(Title("anomaly"), "targets")]

    def auroc(scores: Tensor) -> float:
        mine = [targets[:, 0] == c for c in range(10)]
        return sum(float(roc_auc_score(targets[m, 1], scores[m])) for m in mine) / 10

    row = next(row for row in good.rows if row.metric == "auroc")
    assert row.value == pytest.approx(auroc(good.cases[key]), abs=1e-6)
    bad = dataclasses.replace(
        good,
        rows=(dataclasses.replace(row, value=auroc(shuffled)),),
        cases=good.cases | {key: shuffled},
    )
    (found,) = compare(bad, good)
    assert found.low < found.difference < found.high
    assert found.low > 0.1
    assert found.p <= 0.002


def test_what_can_not_be_paired() -> None:
    ones = torch.ones(100)
    a, b = report("a", ones), report("b", ones)
    with pytest.raises(ValueError, match="'b' has no values per image"):
        compare(a, dataclasses.replace(b, cases={}))
    with pytest.raises(ValueError, match="other images"):
        compare(a, dataclasses.replace(b, data=Splits(test=DataFacts("digits", 100, "cd"))))
    with pytest.raises(ValueError, match="compare under the same attack"):
        compare(a, dataclasses.replace(b, attacks={Sized("pgd"): "PGD(steps=1)"}))
