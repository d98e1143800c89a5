"""This module parses report.json into the fields of a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robustfeat.attacks.flag import Flag
from robustfeat.numerics.eps import Eps
from robustfeat.report.data_facts import Splits
from robustfeat.report.first_format import upgraded
from robustfeat.report.ran import Ran
from robustfeat.report.row import Row, Sized
from robustfeat.report.setup import Setup
from robustfeat.report.title import Title

# 2: rows, runs, attacks and cases have attack, size and column apart; 1 had no number, and all three in one word.
FORMAT = 2


def parsed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `Report`.

    Raises:
        ValueError: for a report of an unknown format.
        KeyError: for missing entries.
        TypeError: for values of another type.
        AttributeError: if an entry is not a mapping.
    """
    version = values.get("format", 1)
    if version not in (1, FORMAT) or isinstance(version, bool):
        raise ValueError(f"report format {version!r} is not {FORMAT}; install the version of robustfeat that wrote it")
    found = upgraded(values) if version == 1 else dict(values)
    found.pop("format", None)
    titles = {row["task"] for row in found["rows"]}
    return found | {
        "data": Splits.from_dict(found["data"]),
        "setup": Setup.of(found["setup"]) if found.get("setup") else None,
        "attacks": {_sized(attack): str(attack["configuration"]) for attack in found["attacks"]},
        "rows": tuple(_row(row | {"task": Title.read(row["task"], titles)}) for row in found["rows"]),
        "runs": tuple(_ran(run | {"task": Title.read(run["task"], titles)}) for run in found.get("runs", [])),
        "environment": dict(found.get("environment", {})),
        "features": dict(found.get("features", {})),
        "notes": tuple(map(str, found.get("notes", ()))),
    }


def _sized(values: Mapping[str, Any]) -> Sized:
    return Sized(str(values["attack"]), None if values["eps"] is None else Eps(values["eps"]))


def _ran(values: Mapping[str, Any]) -> Ran:
    return Ran(**{**values, "flags": tuple(Flag(**flag) for flag in values["flags"])})


def _row(values: Mapping[str, Any]) -> Row:
    row = Row(**values)
    if not all(isinstance(number, int | float) for number in (row.value, row.low, row.high, row.n)):
        raise TypeError(f"a row holds {values}, which are no numbers")
    return row
