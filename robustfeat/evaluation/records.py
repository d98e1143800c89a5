"""Records of the finished batches of an evaluation on the disk, from which the same evaluation continues after it was killed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import safetensors.torch
import torch
from torch import Tensor

from robustfeat.attacks import Effort
from robustfeat.evaluation.deltas import Deltas
from robustfeat.runtime.errors import IntegrityError
from robustfeat.runtime.files import atomic_file, write_text

IDENTITY = "identity.json"


class Finished(NamedTuple):
    """A finished batch under the attacks of a ladder.

    Args:
        features: (attacks, n, d), the features of the attacked images.
        efforts: the effort of each attack.
        deltas: the attacked images of each attack; empty if they are not kept.
    """

    features: Tensor
    efforts: list[Effort]
    deltas: list[Deltas]

    def join(self, other: Self) -> Finished:
        """Concatenate this batch and another one along the cases."""
        return Finished(
            torch.cat([self.features, other.features], dim=1),
            [total([one, two]) for one, two in zip(self.efforts, other.efforts, strict=True)],
            [
                Deltas(*map(torch.cat, zip(one, two, strict=True)))
                for one, two in zip(self.deltas, other.deltas, strict=True)
            ],
        )


class Records:
    """A folder with one file per batch, named after its first case and its sha256.

    Args:
        folder: the folder.
        images: whether to keep the attacked images as well, in one byte per value. The numbers are then those of the images as
            they are kept, and `recount` can compute them again.
        replay: whether to recompute the features from the kept images instead of trusting the kept features.
    """

    def __init__(self, folder: str | os.PathLike[str], *, images: bool = False, replay: bool = False) -> None:
        self.folder, self.images, self.replay = Path(folder), images or replay, replay

    def identity(self) -> dict[str, Any] | None:
        """Return everything that the records in the folder depend on; None for an empty folder.

        Raises:
            IntegrityError: if the file cannot be read.
        """
        path = self.folder / IDENTITY
        if not path.exists():
            return None
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise IntegrityError(f"{str(path)!r} cannot be read: {error}") from error

    def open(self, identity: dict[str, Any]) -> None:
        """Start records in an empty folder, or continue those of the same evaluation.

        Args:
            identity: everything that the records depend on.

        Raises:
            ValueError: if the folder holds another evaluation (the message names the differences), or no images to replay.
            FileNotFoundError: if there are no records to replay.
        """
        mine = identity | {"images": self.images}
        found = self.identity()
        if found is None:
            if self.replay:
                raise FileNotFoundError(f"{str(self.folder)!r} has no records of an evaluation")
            write_text(self.folder / IDENTITY, json.dumps(mine, indent=1) + "\n")
            return
        if self.replay and not found.get("images"):
            raise ValueError(f"{str(self.folder)!r} holds no images; evaluate with kept images to count again")
        if changed := [key for key in {**mine, **found} if mine.get(key) != found.get(key)]:
            what = "; ".join(f"{key} was {found.get(key)!r} and is {mine.get(key)!r}" for key in changed)
            raise ValueError(
                f"{str(self.folder)!r} holds another evaluation: {what}. Give an empty folder, or the same settings"
            )

    def read(self, name: str, start: int) -> Finished | None:
        """Read a finished batch.

        Args:
            name: of the task and attack.
            start: the first case of the batch.

        Returns:
            The batch; None if it is not finished.

        Raises:
            IntegrityError: if the file is damaged, or a batch to replay is missing.
        """
        folder = self._place(name)
        paths = sorted(folder.glob(f"{start:09d}.*.safetensors"))
        if not paths:
            if self.replay:
                raise IntegrityError(f"{str(folder)!r} has no batch {start}; the evaluation is not finished")
            return None
        content = paths[0].read_bytes()
        if _name(start, content) != paths[0].name:
            raise IntegrityError(
                f"{str(paths[0])!r} is damaged: its sha256 is not the one in its name; remove it to compute the batch again"
            )
        tensors = safetensors.torch.load(content)
        efforts = [_effort(values) for values in json.loads(bytes(tensors["efforts"].tolist()))]
        kept = [
            Deltas(**{part: tensors[f"{i}.{part}"] for part in Deltas._fields})
            for i in range(len(efforts))
            if self.images
        ]
        return Finished(tensors["features"], efforts, kept)

    def write(self, name: str, start: int, batch: Finished) -> None:
        """Write a finished batch atomically."""
        efforts = json.dumps([dataclasses.asdict(effort) for effort in batch.efforts]).encode()
        tensors = {"features": batch.features.contiguous(), "efforts": torch.tensor(list(efforts), dtype=torch.uint8)}
        for i, deltas in enumerate(batch.deltas):
            tensors |= {f"{i}.{part}": value.contiguous() for part, value in deltas._asdict().items()}
        content = safetensors.torch.save(tensors)
        with atomic_file(self._place(name) / _name(start, content)) as temporary:
            temporary.write_bytes(content)

    def _place(self, name: str) -> Path:
        """Return the folder of a task's batches, which is inside this folder for every task name."""
        return self.folder / quote(name, safe=" @:,+").replace("..", "%2E%2E")


def total(efforts: list[Effort]) -> Effort:
    """Return the sum of several efforts."""
    found = Effort()
    for effort in efforts:
        found.add(effort)
    return found


def _name(start: int, content: bytes) -> str:
    return f"{start:09d}.{hashlib.sha256(content).hexdigest()}.safetensors"


def _effort(values: dict[str, Any]) -> Effort:
    steps = {int(step): (int(images), int(flat)) for step, (images, flat) in values["steps"].items()}
    return Effort(**{**values, "steps": steps})
