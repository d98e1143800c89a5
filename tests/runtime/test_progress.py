from __future__ import annotations

import pytest

from robustfeat.runtime import progress
from robustfeat.runtime.progress import Progress


def test_plain_lines_without_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 30))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    with Progress("work", 100, "pieces") as bar:
        bar.begin_at(50)
        bar.advance(10, "note")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "work: 60/100 pieces" in shown.err
    assert "note" in shown.err
    # Ten pieces in this session, forty to go: four times what was spent.
    spent, left = shown.err.split(", ")[1:3]
    assert (spent, left.split(" left")[0]) == ("1m30s gone", "6m00s")


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("work", 10, quiet=True) as bar:
        bar.advance(10)
        bar.say("hello")
    assert capsys.readouterr().err == ""
