"""Finished batches of an evaluation on the disk: a killed evaluation goes on, and another one is not taken for it."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import save_file
from torch import Tensor

from robustfeat.attacks import Effort
from robustfeat.errors import IntegrityError
from robustfeat.files import atomic_file, write_text

IDENTITY = "identity.json"


class Records:
    """A folder with one file per batch: features of attacked images, and what the attack took.

    identity: all that the numbers depend on. A folder with another one is refused with a ValueError that names what differs.
    """

    def __init__(self, folder: str | os.PathLike[str], identity: dict[str, Any]) -> None:
        self.folder = Path(folder)
        path = self.folder / IDENTITY
        if not path.exists():
            write_text(path, json.dumps(identity, indent=1) + "\n")
            return
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise IntegrityError(f"{str(path)!r} can not be read: {error}") from error
        if changed := [key for key in {**identity, **found} if identity.get(key) != found.get(key)]:
            what = "; ".join(f"{key} was {found.get(key)!r} and is {identity.get(key)!r}" for key in changed)
            raise ValueError(
                f"{str(folder)!r} holds another evaluation: {what}. Give an empty folder, or the same settings"
            )

    def read(self, name: str, start: int) -> tuple[Tensor, list[Effort]] | None:
        """Features (attacks, n, d) of a batch and the effort of each attack, or None where it is not finished."""
        path = self._path(name, start)
        if not path.exists():
            return None
        try:
            with safetensors.safe_open(path, "pt") as file:
                return file.get_tensor("features"), [_effort(found) for found in json.loads(file.metadata()["efforts"])]
        except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
            raise IntegrityError(
                f"{str(path)!r} is damaged ({error}); remove it to compute that batch again"
            ) from error

    def write(self, name: str, start: int, features: Tensor, efforts: list[Effort]) -> None:
        """Keep a finished batch, atomically."""
        with atomic_file(self._path(name, start)) as temporary:
            metadata = {"efforts": json.dumps([dataclasses.asdict(effort) for effort in efforts])}
            save_file({"features": features.contiguous()}, temporary, metadata)

    def _path(self, name: str, start: int) -> Path:
        return self.folder / name / f"{start:09d}.safetensors"


def _effort(values: dict[str, Any]) -> Effort:
    steps = {int(step): (int(images), int(flat)) for step, (images, flat) in values["steps"].items()}
    return Effort(**{**values, "steps": steps})
