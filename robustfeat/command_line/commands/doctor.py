"""The command `robustfeat doctor` checks the installation."""

from __future__ import annotations

from typing import Any

from robustfeat.command_line.command import Command, Result


def _run(values: dict[str, Any]) -> Result:
    from robustfeat.command_line.doctor import doctor

    facts = doctor()
    return Result("\n".join(f"{name:22} {value}" for name, value in facts.items()), facts)


COMMAND = Command(
    "doctor",
    "Print versions, devices and folders, and run a self-test of a few seconds.",
    "robustfeat doctor",
    lambda parser: None,
    _run,
)
