"""Titles of tasks: made of parts, and read from what they print as."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from robustfeat.report import Title
from robustfeat.report.title import titled


@pytest.mark.parametrize(
    ("text", "among", "parts"),
    [
        ("probe", (), ("probe", "", 1)),
        ("knn-probe:HNSW32", (), ("knn-probe", "HNSW32", 1)),
        ("probe-2", ("probe", "probe-2"), ("probe", "", 2)),
        ("anomaly:gmm-12", ("anomaly:gmm",), ("anomaly", "gmm", 12)),
        ("head:runs/student-2", ("head:runs/student-2",), ("head", "runs/student-2", 1)),
        ("head:hf:org/repo@main", (), ("head", "hf:org/repo@main", 1)),
        ("ood:one-class-svm", ("ood:one-class",), ("ood", "one-class-svm", 1)),
        ("probe-1", ("probe",), ("probe-1", "", 1)),
    ],
)
def test_reading(text: str, among: tuple[str, ...], parts: tuple[str, str, int]) -> None:
    title = Title.read(text, among)
    assert (title.name, title.argument, title.repetition) == parts
    assert title == Title(*parts) == text
    assert json.dumps(title) == json.dumps(text)


def test_copies_keep_the_parts() -> None:
    title = Title("anomaly", "gmm", 2)
    for other in (copy.deepcopy(title), copy.copy(title), pickle.loads(pickle.dumps(title)), Title.read(title)):
        assert (other, other.name, other.argument, other.repetition) == ("anomaly:gmm-2", "anomaly", "gmm", 2)


def test_titles_that_differ() -> None:
    """Also where somebody's argument looks like a repetition."""
    found = titled(["probe", "head:m", "head:m-2", "probe", "head:m", "probe"])
    assert found == ["probe", "head:m", "head:m-2", "probe-2", "head:m-3", "probe-3"]
    assert [title.argument for title in found] == ["", "m", "m-2", "", "m", ""]
