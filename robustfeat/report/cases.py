"""This module stores the values per case in a file next to a report; the file names its report in its content and its name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from robustfeat.numerics.eps import Eps
from robustfeat.report.title import Title
from robustfeat.runtime.errors import IntegrityError
from robustfeat.runtime.files import atomic_file

if TYPE_CHECKING:
    from torch import Tensor

ROWS, TARGETS = "rows", "targets"  # of a task: which image and which target each case has


class CaseKey(NamedTuple):
    """Identifies one array of values per case.

    Args:
        task: the title of the task.
        kept: a metric, or the quantity that the task computes its metrics from, under an attack; or ROWS and TARGETS, which have
            no attack.
        attack: the name of the attack in the report.
        eps: the size of the perturbation in pixel units, or None.
        column: the cases that the attacker controlled, as in the rows of the report.
    """

    task: Title
    kept: str
    attack: str = ""
    eps: Eps | None = None
    column: str = ""

    @property
    def text(self) -> str:
        """The name in the file, which is unambiguous whatever its parts contain."""
        return json.dumps(self)

    @classmethod
    def read(cls, text: str, titles: Mapping[str, Title]) -> Self:
        """Parse the result of `text`.

        Args:
            text: the name in the file.
            titles: the titles of the report's rows, by their text.

        Raises:
            ValueError: for anything else.
        """
        try:
            task, kept, attack, eps, column = json.loads(text)
            return cls(
                titles.get(task) or Title.read(task),
                str(kept),
                str(attack),
                None if eps is None else Eps(eps),
                str(column),
            )
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{text!r} does not say what its values are of") from error


def beside(path: Path, text: str) -> Path:
    """Return the path of the cases of the report with this text; no other report has the same path, whatever it is called."""
    return path.with_name(f"{path.name}.{_digest(text)[:16]}.cases.safetensors")


def before(path: Path) -> Path:
    """Return the path of the cases in older versions, which several reports could share."""
    return path.with_suffix(".cases.safetensors")


def write(path: Path, text: str, cases: Mapping[CaseKey, Tensor]) -> None:
    """Write the cases atomically; this happens before the report is written."""
    from safetensors.torch import save_file  # with torch, which a card can be read without

    with atomic_file(beside(path, text)) as temporary:
        save_file({key.text: values.clone() for key, values in cases.items()}, temporary, {"report": _digest(text)})


def read(path: Path, text: str, key: Callable[[str], CaseKey]) -> dict[CaseKey, Tensor]:
    """Read the cases of the report with this text.

    Args:
        path: the path of the report.
        text: the text of the report.
        key: maps a name in the file to its key.

    Returns:
        The values by key; empty if the report has no cases.

    Raises:
        IntegrityError: if the file belongs to another report.
    """
    found = next((place for place in (beside(path, text), before(path)) if place.exists()), None)
    if found is None:
        return {}
    from safetensors import safe_open

    with safe_open(found, "pt") as file:
        report = (file.metadata() or {}).get("report", _digest(text) if found == before(path) else None)
        if report != _digest(text):
            raise IntegrityError(f"{str(found)!r} holds the cases of another report than {str(path)!r}; evaluate again")
        return {key(name): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
