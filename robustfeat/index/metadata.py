"""Metadata of items: JSON values that are the same when they are read again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def by_id(keys: Sequence[int], values: Sequence[Any] | None) -> dict[int, Any]:
    """One value per id, none for None.

    ValueError for another number of values, and, with the id, for one that JSON has not or gives back as another (tuples, keys
    that are no text).
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
