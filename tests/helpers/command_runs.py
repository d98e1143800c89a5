"""The command line in the tests: its exit code, what it says when it refuses, and flags of a short training."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustfeat.command_line import cli

SMALL = ("--student", "cnn_tiny", "--stem", "timm", "--max_steps", "1", "--batch_size", "8", "--steps", "1")
FAST = ("--train", "train[:40]", "--held_out", "train[40:50]", "--eval_steps", "1", "--channels_last", "false")


def run(*arguments: str | Path) -> int:
    """The exit code, also where the parser prints and exits by itself."""
    try:
        return cli.main([str(argument) for argument in arguments])
    except SystemExit as leaving:
        return int(leaving.code or 0)


def refused(capsys: pytest.CaptureFixture[str], code: int, *arguments: str | Path) -> str:
    """Run what must fail with this code; the one or two lines it says."""
    assert run(*arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert err.startswith("robustfeat: ")
    assert 1 <= len(err.strip().splitlines()) <= 2
    assert len(err) < 500
    return err
