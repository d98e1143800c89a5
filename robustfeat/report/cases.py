"""The values per case beside a report: a file that names the report it belongs to, inside and in its name."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from robustfeat.runtime.errors import IntegrityError
from robustfeat.runtime.files import atomic_file

if TYPE_CHECKING:
    from torch import Tensor


def beside(path: Path, text: str) -> Path:
    """Where the cases of the report with this text are: no other report's, whatever the two are called."""
    return path.with_name(f"{path.name}.{_digest(text)[:16]}.cases.safetensors")


def before(path: Path) -> Path:
    """Where they were once, under a name that several reports could have."""
    return path.with_suffix(".cases.safetensors")


def write(path: Path, text: str, cases: dict[str, Tensor]) -> None:
    """Write them atomically, before the report is."""
    from safetensors.torch import save_file  # with torch, which a card can be read without

    with atomic_file(beside(path, text)) as temporary:
        save_file({name: values.clone() for name, values in cases.items()}, temporary, {"report": _digest(text)})


def read(path: Path, text: str) -> dict[str, Tensor]:
    """Those of the report with this text; none where there are none. Raises IntegrityError for those of another report."""
    found = next((place for place in (beside(path, text), before(path)) if place.exists()), None)
    if found is None:
        return {}
    from safetensors import safe_open

    with safe_open(found, "pt") as file:
        report = (file.metadata() or {}).get("report", _digest(text) if found == before(path) else None)
        if report != _digest(text):
            raise IntegrityError(f"{str(found)!r} holds the cases of another report than {str(path)!r}; evaluate again")
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
