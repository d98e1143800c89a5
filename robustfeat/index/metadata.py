"""Metadata of items: JSON values that are the same when they are read again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def by_id(keys: Sequence[int], values: Sequence[Any] | None) -> dict[int, Any]:
    """Return one value per id; no values if `values` is None.

    Raises:
        ValueError: the number of values is another one, or a value is not a JSON value, or JSON reads it back as another one
            (tuples, keys that are not text); the message names the id.
    """
    if values is None:
        return {}
    if len(values) != len(keys):
        raise ValueError(f"{len(keys)} features but {len(values)} entries of metadata")
    for key, value in zip(keys, values, strict=True):
        try:
            again = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"metadata of id {key} is no JSON value: {error}; got {value!r}") from error
        if again != value:
            raise ValueError(f"metadata of id {key} would be read as {again!r}, not as {value!r}; give it so")
    return dict(zip(keys, values, strict=True))
