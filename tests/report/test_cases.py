"""The values per case belong to their report: under whatever names, and whoever else writes beside it."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from robustfeat.report import CaseKey, DataFacts, Report, Row, Splits, Title
from robustfeat.runtime.errors import IntegrityError

KEY = CaseKey(Title("probe"), "accuracy", "none")


def report(value: float, cases: bool = True) -> Report:
    row = Row("probe", "accuracy", "none", None, "", value, 0.0, 1.0, 4, 0.0)
    values = {KEY: torch.full((4,), value)} if cases else {}
    return Report("model", Splits(test=DataFacts("digits", 4, "x")), "none", (row,), cases=values)


def value_of(path: Path) -> tuple[float, float | None]:
    """What the report says, and what its cases say."""
    found = Report.load(path)
    return found.rows[0].value, float(found.cases[KEY][0]) if found.cases else None


@pytest.mark.parametrize("names", [("a.json", "a.JSON"), ("x.json", "x.cases.json"), ("r.1.json", "r.2.json")])
def test_reports_side_by_side_keep_their_cases(names: tuple[str, str], tmp_path: Path) -> None:
    for name, value in zip(names, (0.25, 0.75), strict=True):
        report(value).save(tmp_path / name)
    for name, value in zip(names, (0.25, 0.75), strict=True):
        assert value_of(tmp_path / name) == (value, value)


def test_a_report_that_is_written_again_has_its_own_cases_only(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for value, cases in ((0.25, True), (0.5, True), (0.75, False)):
        report(value, cases).save(path)
        assert value_of(path) == (value, value if cases else None)
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_cases_of_another_report_are_refused(tmp_path: Path) -> None:
    for folder, value in (("one", 0.25), ("two", 0.75)):
        report(value).save(tmp_path / folder / "a.json")
    (mine,), (other,) = ((tmp_path / folder).glob("*.cases.safetensors") for folder in ("one", "two"))
    other.replace(mine)
    with pytest.raises(IntegrityError, match="the cases of another report"):
        Report.load(tmp_path / "one" / "a.json")


def test_cases_of_older_versions_are_read(tmp_path: Path) -> None:
    old = report(0.25)
    dataclasses.replace(old, cases={}).save(tmp_path / "a.json")
    save_file({key.text: values for key, values in old.cases.items()}, tmp_path / "a.cases.safetensors")
    assert value_of(tmp_path / "a.json") == (0.25, 0.25)


def test_writers_at_once_do_not_mix_their_reports(tmp_path: Path) -> None:
    path = tmp_path / "a.json"

    def write(value: float) -> None:
        for _ in range(10):
            report(value).save(path)

    threads = [threading.Thread(target=write, args=(value / 8,)) for value in range(1, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stated, kept = value_of(path)
    assert kept in (stated, None)
