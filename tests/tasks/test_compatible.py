"""Retrieval in the original's gallery, against a plain loop over both models' features."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from patterns import TEST, TRAIN, WEAK
from torch.nn import functional as F

import robustfeat
from robustfeat.evaluation import evaluate
from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.random import generator
from robustfeat.report import Report
from robustfeat.tasks import Compatible
from robustfeat.testing import small_network


@pytest.fixture
def source(tmp_path: Path) -> str:
    network = small_network(0)
    hub.save(tmp_path / "original", network, Card("original", network.architecture, network.feature_dim))
    return str(tmp_path / "original")


@pytest.fixture
def student(source: str) -> FeatureExtractor:
    network, random = small_network(0), generator(5)
    with torch.no_grad():
        for parameter in network.model.parameters():
            parameter.add_(0.3 * parameter.std(correction=0) * torch.randn(parameter.shape, generator=random))
    digest = robustfeat.load(source).digest()
    card = Card("student", network.architecture, network.feature_dim, compatible_with=digest)
    return FeatureExtractor(network, card)


def measured(extractor: FeatureExtractor, task: str) -> Report:
    return evaluate(extractor, [task], TRAIN, TEST, [WEAK], batch_size=16, progress=False, examined=0)


def value(report: Report, metric: str, attack: str) -> float:
    (row,) = (row for row in report.rows if (row.metric, row.attack) == (metric, attack))
    return row.value


def test_queries_meet_the_originals_gallery(source: str, student: FeatureExtractor) -> None:
    original = robustfeat.load(source)
    report = measured(student, f"compatible:{source}")
    gallery = F.normalize(torch.from_numpy(original.transform(TRAIN)), dim=1)
    queries = F.normalize(torch.from_numpy(student.transform(TEST)), dim=1)
    hits, precisions = [], []
    for query, label in zip(queries, TEST.require_labels(), strict=True):
        same = TRAIN.require_labels()[(gallery @ query).argsort(descending=True)] == label
        hits.append(bool(same[0]))
        r = int(same.sum())
        precisions.append(sum(int(same[: k + 1].sum()) / (k + 1) for k in range(r) if same[k]) / r)
    assert value(report, "recall@1", "none") == pytest.approx(sum(hits) / len(hits))
    assert value(report, "map@r", "none") == pytest.approx(sum(precisions) / len(precisions), abs=1e-6)
    for metric in ("recall@1", "map@r"):
        assert value(report, metric, "pgd") <= value(report, metric, "none")
    itself = measured(student, "retrieval")
    assert value(report, "map@r", "none") != value(itself, "map@r", "none"), "the galleries differ"


def test_the_original_with_itself_has_its_own_numbers(source: str) -> None:
    original = robustfeat.load(source)
    compatible, own = measured(original, f"compatible:{source}"), measured(original, "retrieval")
    assert [(row.metric, row.attack, row.value) for row in compatible.rows] == [
        (row.metric, row.attack, row.value) for row in own.rows
    ]


def test_models_of_other_spaces_are_refused(source: str, student: FeatureExtractor) -> None:
    stranger = FeatureExtractor(student.network, dataclasses.replace(student.card, compatible_with=None))
    with pytest.raises(ValueError, match="was not kept in the feature space of"):
        measured(stranger, f"compatible:{source}")


def test_options_name_the_original(source: str) -> None:
    task = Compatible.from_text(source)
    assert task.title == f"compatible:{source}"
    assert task.options()["original"] == robustfeat.load(source).digest()
