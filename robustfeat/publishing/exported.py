"""This module copies a model under another name, optionally in half precision."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from torch import Tensor

from robustfeat.features import hub
from robustfeat.features.card import Card


def export(
    name: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    half: bool = False,
    max_shard_size: int | str | None = None,
) -> Card:
    """Write the model behind a name to a folder and name it after the folder.

    The card keeps how the model was trained, and loses the measured numbers if rounding changes the weights.

    Args:
        name: the model, as `load` accepts it.
        folder: the new folder.
        half: round the weights to half precision (float16), which halves the file. Computation stays in single precision, so
            speed and memory are as before.
        max_shard_size: bytes of weights in one file, as a number or as "15MB"; more are written as parts with an index, as the
            Hub's libraries do. A larger tensor has a file of its own. None writes one file.

    Returns:
        The card of the new model.

    Raises:
        FileExistsError: if the folder already holds a model.
        ValueError: if a weight is too large for half precision, or max_shard_size is not a size.
        Exception: any error of `load`.
    """
    target = Path(folder).expanduser()
    if (target / hub.CARD).exists():
        raise FileExistsError(f"{str(target)!r} holds a model already; choose another folder, or remove it")
    network, card = hub.load_network(name)
    card = dataclasses.replace(card, name=target.resolve().name)
    if half and any(_rounded(key, value) for key, value in network.model.state_dict().items()):
        card = dataclasses.replace(card, reports=(), fixture=None)
    return hub.save(target, network, card, half=half, max_shard_size=max_shard_size)


def _rounded(key: str, value: Tensor) -> bool:
    """Return whether half precision changes a tensor."""
    if not value.is_floating_point():
        return False
    half = value.half()
    if half.isinf().any():
        raise ValueError(f"{key} has values up to {float(value.abs().max()):.3g}, too large for half precision")
    return not half.to(value.dtype).equal(value)
