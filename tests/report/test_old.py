"""Files of the version before rows had fields for the size and the column of their attack: they load, and say what they said.

tests/report/old/ holds a report with its cases, and the card of a model, as that version wrote them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from robustfeat.features.card import Card
from robustfeat.numerics.eps import Eps
from robustfeat.report import CaseKey, Report, Sized, Title
from robustfeat.report.first_format import case_key, upgraded

OLD = Path(__file__).parent / "old"
REPORT = json.loads((OLD / "report.json").read_text())
CARD = json.loads((OLD / "card.json").read_text())

# What stood in a row, and where it must be found.
WORDS: dict[str, tuple[str, float | None, str]] = {
    "none": ("none", None, ""),
    "pgd@2/255": ("pgd", 2 / 255, ""),
    "pgd@8/255": ("pgd", 8 / 255, ""),
    "pgd@2/255/normal": ("pgd", 2 / 255, "normal"),
    "pgd@8/255/normal": ("pgd", 8 / 255, "normal"),
    "pgd@2/255/anomalous": ("pgd", 2 / 255, "anomalous"),
    "pgd@8/255/anomalous": ("pgd", 8 / 255, "anomalous"),
    "fgsm": ("fgsm", 0.1, ""),
    "fgsm/normal": ("fgsm", 0.1, "normal"),
    "fgsm/anomalous": ("fgsm", 0.1, "anomalous"),
    # The source of these is a model that is called tiny@2: that is no size.
    "fgsm-from-tiny@2": ("fgsm-from-tiny@2", 0.1, ""),
    "fgsm-from-tiny@2/normal": ("fgsm-from-tiny@2", 0.1, "normal"),
    "fgsm-from-tiny@2/anomalous": ("fgsm-from-tiny@2", 0.1, "anomalous"),
}
TITLES = {
    "probe": ("probe", "", 1),
    "anomaly": ("anomaly", "", 1),
    "anomaly:gmm": ("anomaly", "gmm", 1),
    "anomaly:gmm-2": ("anomaly", "gmm", 2),
    "head": ("head", "", 1),
    "head:tiny": ("head", "tiny", 1),
}


def agrees(found: Report, old: dict[str, Any]) -> None:
    """Every row, run, configuration and other fact of an old report, in the right fields."""
    for kind, facts in found.data.known():
        assert (facts.name, facts.images, facts.fingerprint) == tuple(old["data"][kind].values())
    assert found.setup is not None
    assert old["setup"].items() <= found.setup.as_dict().items()
    where = ("model", "records")
    assert [getattr(found.setup, name) for name in where] == [old["command"].get(name) for name in where]
    for row, was in zip(found.rows, old["rows"], strict=True):
        assert (row.attack, row.eps, row.column) == WORDS[was["attack"]]
        assert (row.task.name, row.task.argument, row.task.repetition) == TITLES[was["task"]]
        assert (row.value, row.low, row.high, row.n) == tuple(was[name] for name in ("value", "low", "high", "n"))
        place = was["task"], was["metric"], *WORDS[was["attack"]]
        assert found.value(*place) == was["value"]
        assert found.label(*row.sized, row.column) == was["attack"]
    for run, was in zip(found.runs, old["runs"], strict=True):
        assert (run.attack, run.eps) == WORDS[was["attack"]][:2]
        assert (run.task, run.forwards, len(run.flags)) == (was["task"], was["forwards"], len(was["flags"]))
    assert found.attacks == {WORDS[word][:2]: text for word, text in old["attacks"].items()}


def test_the_report() -> None:
    agrees(Report.load(OLD / "report.json"), REPORT)


def test_its_cases() -> None:
    """The mean of its values per case is a rate that a row states; a score has one per image and detector."""
    report = Report.load(OLD / "report.json")
    for row in report.rows:
        judged = report.judged(row)
        if row.task == "probe":
            assert float(judged["accuracy"].mean()) == pytest.approx(row.value)
        else:
            assert {name: len(values) for name, values in judged.items()} == {"anomaly": 60}
    kept = {(key.task, key.kept): len(values) for key, values in report.cases.items() if not key.attack}
    sizes = {"probe": 6, "anomaly:gmm": 60, "anomaly:gmm-2": 60}
    assert kept == {(task, part): n for task, n in sizes.items() for part in ("rows", "targets")}


def test_it_is_written_as_today(tmp_path: Path) -> None:
    report = Report.load(OLD / "report.json")
    report.save(tmp_path / "report.json")
    again = Report.load(tmp_path / "report.json")
    assert again == report
    assert {key: values.tolist() for key, values in again.cases.items()} == {
        key: values.tolist() for key, values in report.cases.items()
    }
    values = json.loads((tmp_path / "report.json").read_text())
    assert values["format"] == 2
    assert values["data"] == REPORT["data"]
    assert values["setup"] == REPORT["setup"] | {
        "model": "tiny",
        "records": "records",
        "image_size": None,
        "on_error": "raise",
    }
    assert values["rows"][1] == REPORT["rows"][1] | {"attack": "pgd", "eps": 2 / 255, "column": ""}


def test_the_card() -> None:
    card = Card.from_json((OLD / "card.json").read_text())
    curve, plain = card.reports
    for report, old in zip(card.reports, CARD["reports"], strict=True):
        agrees(report, old)
    assert curve.sizes("pgd") == (2 / 255, 8 / 255)
    assert plain.sizes("fgsm-from-tiny@2") == (0.1,)
    page = card.readme()
    assert "| task | metric | 0 | 2/255 | 8/255 | n |" in page
    assert "| task | metric | clean | fgsm | fgsm-from-tiny@2 | n |" in page
    assert "only normal attacked" in page
    flags = [flag["check"] for report in CARD["reports"] for run in report["runs"] for flag in run["flags"]]
    assert [flag.partition(": ")[2].partition(": ")[0] for flag in card.flags] == flags != []
    assert Card.from_json(card.to_json()) == card
    written = json.loads(card.to_json())
    for name in ("data", "teacher", "start", "training", "fixture", "weights", "options", "versions"):
        assert written[name] == CARD[name], name


def test_keys_of_cases() -> None:
    """Tasks with a slash, one of whose names begins as another's, and one whose rows are no more there."""
    titles = [Title("head", "a"), Title("head", "a/b"), Title("anomaly", "gmm", 2)]
    attacks = [Sized("pgd", Eps("8/255")), Sized("x/y", None)]
    for text, key in {
        "head:a/b/none/accuracy": CaseKey(titles[1], "accuracy", "none"),
        "head:a/x/y/accuracy": CaseKey(titles[0], "accuracy", "x/y"),
        "anomaly:gmm-2/pgd@8/255/normal/anomaly": CaseKey(titles[2], "anomaly", "pgd", Eps("8/255"), "normal"),
        "anomaly:gmm-2/pgd/anomaly": CaseKey(titles[2], "anomaly", "pgd", Eps("8/255")),
        "head:a/b/rows": CaseKey(titles[1], "rows"),
        "probe/pgd@8/255/accuracy": CaseKey(Title("probe"), "accuracy", "pgd", Eps("8/255")),
    }.items():
        found = case_key(text, titles, attacks)
        assert found == key
        assert found.task.repetition == key.task.repetition
        assert CaseKey.read(key.text, {str(title): title for title in titles}) == key
    for nothing in ("probe", ""):
        with pytest.raises(ValueError, match="does not say what its values are of"):
            case_key(nothing, titles, attacks)
    for nothing in ("probe", "[]", "7", '[1, "a", "b", null, ""]', '["probe", "accuracy", "pgd", "much", ""]'):
        with pytest.raises(ValueError, match="does not say what its values are of"):
            CaseKey.read(nothing, {})


@pytest.mark.parametrize(
    ("command", "setup", "expected"),
    [
        ({"data": "digits", "task": ["probe"], "eps": "0.1", "out": "x.json"}, {}, ("digits", ("probe",), 0.1, None)),
        ({"data": {"train": "f"}, "tasks": {}, "attack": "FGSM()"}, {"data": "digits"}, ("digits", (), None, None)),
        ({"data": {"train": "f"}, "tasks": {}, "attack": "FGSM()"}, {}, None),
        ({}, {"data": "digits", "task": ["probe"], "eps": None}, ("digits", ("probe",), None, None)),
        (
            {"task": ["probe"], "data": "digits", "records": "kept"},
            {"data": "digits"},
            ("digits", ("probe",), None, "kept"),
        ),
        ({}, {}, None),
    ],
)
def test_what_was_said_of_how_it_was_made(
    command: dict[str, Any], setup: dict[str, Any], expected: tuple[object, ...] | None
) -> None:
    """By `evaluate`, before it had a setup; by `transfer`, whose command was of another kind; and by the library."""
    found = Report.from_dict(REPORT | {"command": command, "setup": setup}).setup
    assert (found and (found.data, found.task, found.eps, found.records)) == expected


@pytest.mark.parametrize(
    ("word", "attacks", "place"),
    [
        ("pgd", {"pgd": "PGD(steps=20)"}, ("pgd", None, "")),
        ("pgd/normal", {"pgd": "PGD(steps=20)"}, ("pgd", None, "normal")),
        ("pgd@0.5/normal", {"pgd@0.5": "Mine()"}, ("pgd", 0.5, "normal")),
        ("pgd@8/255", {}, ("pgd", 8 / 255, "")),
        ("a/b/normal", {"a": "A()", "a/b": "B()"}, ("a/b", None, "normal")),
        ("mine@home", {"mine@home": "Mine()"}, ("mine@home", None, "")),
        ("@1", {"@1": "Mine()"}, ("@1", None, "")),
    ],
)
def test_words_that_were_rare(word: str, attacks: dict[str, str], place: tuple[str, float | None, str]) -> None:
    """Configurations that say no size, attacks that nobody configured, and names with a slash or an "@"."""
    (row,) = upgraded({"rows": [{"attack": word}], "attacks": attacks})["rows"]
    assert (row["attack"], row["eps"], row["column"]) == place
