"""The demo, a step of each training and a few images: three models and a report of each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_runs import run

from robustfeat.attacks import health
from robustfeat.features import hub
from robustfeat.report import Report


def test_a_few_steps_of_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for effort in ("QUERIES", "SAMPLES", "STEPS"):  # of the health checks, which have tests of their own
        monkeypatch.setattr(health, effort, 2)
    command = ("demo", "--out", tmp_path, "--max-steps", "1", "--limit", "3", "--json")
    assert run(*command) == 0
    shown = json.loads(capsys.readouterr().out)
    written = json.loads((tmp_path / "report.json").read_text())
    names = ["teacher", "gacd", "natural"]
    assert list(shown) == [values["model"] for values in written] == names
    for name, values in zip(names, written, strict=True):
        report = Report.from_dict(values)
        assert {row.task for row in report.rows} == {"probe", "retrieval", "anomaly"}
        assert {row.n for row in report.rows if row.task == "probe"} == {3}
        assert report.data.test.images == 3
        card = hub.read_card(tmp_path / name / "last")
        assert card.training.step == 1
        assert report.weights == hub.load(tmp_path / name).digest()
    assert (
        hub.read_card(tmp_path / "gacd" / "last").teacher.sha256 == hub.load(tmp_path / "teacher").card.weights.sha256
    )
    assert (tmp_path / "report.md").read_text().startswith("# robustfeat on digits\n")
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
