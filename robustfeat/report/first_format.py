"""This module reads reports written until 2026-11, whose rows had attack, size and column in one name: "pgd@8/255/normal"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from robustfeat.numerics.eps import Eps
from robustfeat.report.cases import ROWS, TARGETS, CaseKey
from robustfeat.report.row import CLEAN, Sized
from robustfeat.report.title import Title

THREAT = re.compile(r"Threat\(norm='\w+', eps=([^)]+)\)")


def upgraded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the values of a report of the first format to the current format."""
    attacks = {str(word): _sized(word, text) for word, text in dict(values.get("attacks", {})).items()}
    configurations = [
        sized._asdict() | {"configuration": text}
        for sized, text in zip(attacks.values(), dict(values.get("attacks", {})).values(), strict=True)
    ]
    rows = []
    for row in values["rows"]:
        sized, column = _split(row["attack"], attacks)
        rows.append(row | sized._asdict() | {"column": column})
    runs = [run | _split(run["attack"], attacks)[0]._asdict() for run in values.get("runs", [])]
    kept = {name: value for name, value in values.items() if name != "command"}
    return {**kept, "rows": rows, "runs": runs, "attacks": configurations, "setup": _setup(values)}


def _setup(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flags of `robustfeat evaluate` in the report, and its setup, which has those that the numbers depend on.

    Reports of other programs had other entries in the command, and the oldest reports have a command only.
    """
    command, setup = (dict(values.get(name, {})) for name in ("command", "setup"))
    if not setup and "task" not in command:
        return {}
    return command | setup


def case_key(text: str, titles: Iterable[Title], attacks: Iterable[Sized]) -> CaseKey:
    """Parse "task/attack/metric", "task/rows" or "task/targets".

    Args:
        text: the name in the file; a task may contain slashes, as in "head:runs/teacher", but one without a row has none.
        titles: the titles of the report's tasks.
        attacks: the attacks of the report.

    Raises:
        ValueError: for anything else.
    """
    words = {word: sized for sized in attacks for word in (sized.attack, f"{sized.attack}@{sized.eps}")}
    for title in (*sorted(titles, key=len, reverse=True), Title.read(text.partition("/")[0])):
        rest = text.removeprefix(f"{title}/")
        if rest in (ROWS, TARGETS):
            return CaseKey(title, rest)
        if rest != text:
            place, _, kept = rest.rpartition("/")
            sized, column = _split(place, words)
            return CaseKey(title, kept, *sized, column)
    raise ValueError(f"{text!r} does not say what its values are of")


def _sized(word: str, configuration: str) -> Sized:
    """Parse the name of an attack, "pgd@8/255" for one size of several; a name may contain another "@", as a model name does."""
    stated = THREAT.search(configuration)
    known = Eps(stated[1]) if stated else None
    name, _, size = word.rpartition("@")
    if not name:
        return Sized(word, known)
    try:
        eps = Eps(size)
    except ValueError:
        return Sized(word, known)
    return Sized(name, eps) if known in (None, eps) else Sized(word, known)


def _split(word: str, attacks: Mapping[str, Sized]) -> tuple[Sized, str]:
    """Split the name in a row into attack and column; `attacks` has the attacks by name."""
    known = {CLEAN: Sized(CLEAN), **attacks}
    names = [name for name in known if word == name or word.startswith(f"{name}/")]
    if not names:
        return _sized(word, ""), ""
    name = max(names, key=len)
    return known[name], word[len(name) + 1 :]
