"""The choices of an evaluation: they survive JSON, and stand for the arguments that one would write by hand."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from robustfeat.attacks import PGD, Square, Threat, Transfer
from robustfeat.data import dataset
from robustfeat.evaluation import Evaluation, evaluate
from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.features.patches import PatchExtractor
from robustfeat.numerics.eps import Eps
from robustfeat.report import Report
from robustfeat.tasks import LinearProbe, Retrieval
from robustfeat.testing import small_network

CHOSEN = Evaluation(
    data="digits", train="train[:100]", task=("probe", "retrieval:HNSW8"), attack=("pgd", "square"), norm="l2",
    eps=Eps("100/255"), steps=3, queries=9, limit=20, batch_size=7, seed=5, examined=0,
)  # fmt: skip


@pytest.fixture
def ten(tmp_path: Path) -> FeatureExtractor:
    network = small_network(0, classes=10)
    hub.save(tmp_path / "ten", network, Card("ten", network.architecture, network.feature_dim))
    return hub.load(tmp_path / "ten")


def test_json_and_back() -> None:
    assert Evaluation.of(json.loads(json.dumps(CHOSEN.as_dict()))) == CHOSEN
    flags = CHOSEN.as_dict() | {"model": "ten", "out": "x.json", "task": None, "attack": None, "eps": None}
    plain = Evaluation.of(flags)
    assert (plain.task, plain.attack, plain.eps) == (("probe", "retrieval", "anomaly"), (), None)
    assert Evaluation.of({"data": "digits"}) == Evaluation("digits"), "what an older report lacks has its default"
    with pytest.raises(ValueError, match="limit must be at least 1, got 0"):
        dataclasses.replace(CHOSEN, limit=0)


def test_it_stands_for_what_one_would_write(ten: FeatureExtractor) -> None:
    prepared = CHOSEN.prepared(ten)
    probe, retrieval = prepared.tasks
    assert isinstance(probe, LinearProbe)
    assert isinstance(retrieval, Retrieval)
    assert retrieval.index == "HNSW8"
    threat = Threat("l2", Eps("100/255"))
    assert prepared.attacks == {"pgd": PGD(threat, steps=3), "square": Square(threat, queries=9)}
    assert prepared.train.fingerprint == dataset("digits", "train[:100]").fingerprint
    assert prepared.test.fingerprint == dataset("digits", "test[:20]").fingerprint
    assert prepared.extractor is ten


def test_the_report_is_that_of_evaluate(ten: FeatureExtractor, tmp_path: Path) -> None:
    chosen = dataclasses.replace(CHOSEN, task=("probe",), attack=("pgd",))
    report = chosen.run(ten, progress=False)
    by_hand = evaluate(
        ten,
        ["probe"],
        dataset("digits", "train[:100]"),
        dataset("digits", "test[:20]"),
        [PGD(Threat("l2", Eps("100/255")), steps=3)],
        batch_size=7,
        seed=5,
        examined=0,
        progress=False,
    )
    assert [dataclasses.replace(row, seconds=0) for row in report.rows] == [
        dataclasses.replace(row, seconds=0) for row in by_hand.rows
    ]
    assert Evaluation.again(report) == chosen
    report.save(tmp_path / "report.json")
    assert Evaluation.again(Report.load(tmp_path / "report.json")) == chosen


def test_curves_sources_shots_and_patches(ten: FeatureExtractor, tmp_path: Path) -> None:
    chosen = dataclasses.replace(CHOSEN, attack=("pgd",), curve="0.2,0.1", source=str(tmp_path / "ten"))
    attacks = chosen.attacks()
    assert list(attacks) == ["pgd", "pgd-from-ten"]
    assert [rung.threat.eps for rung in attacks["pgd"]] == [0.1, 0.2]  # type: ignore[union-attr]
    assert all(isinstance(rung, Transfer) for rung in attacks["pgd-from-ten"])  # type: ignore[union-attr]
    few = dataclasses.replace(CHOSEN, shots=2, outliers="digits")
    prepared = few.prepared(ten)
    assert prepared.train.labels.bincount().tolist() == [2] * 10
    assert len(prepared.test) == 40
    assert int(prepared.test.labels[:20].max()) < 10 <= int(prepared.test.labels[20:].min())
    assert isinstance(dataclasses.replace(CHOSEN, patches=True).prepared(ten).extractor, PatchExtractor)
