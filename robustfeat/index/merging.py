"""Merges several indexes into one on the disk, without all their items in memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from robustfeat.index import contents, stored
from robustfeat.index.faiss import import_faiss
from robustfeat.index.feature_index import FeatureIndex
from robustfeat.index.join import learned, way

SAME = ("dim", "factory", "metric", "extractor")


def merge(shards: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str]) -> Path:
    """Write the items of all shards as one index, which `FeatureIndex.load` reads like any other, and return its folder.

    Clustered and compressed shards must have learned the same: train an index, and fill copies that its `shard` makes. Indexes
    of "Flat", "PQ.." and "SQ..", and "IVF.." with one of these, can be merged. IVF holds least in memory: the ids and metadata
    of all shards, not their vectors or codes. Notes are those of the first shard, and those that only others have.

    If the process is killed half-way, `out` holds what it held before.

    Args:
        shards: folders that `FeatureIndex.save` wrote, of the same dim, factory, metric and extractor, with ids that do not
            repeat.
        out: the folder to write to; it may be one of the shards.

    Raises:
        FileNotFoundError: as in `FeatureIndex.load`.
        IntegrityError: as in `FeatureIndex.load`.
        ValueError: the shards differ, ids repeat, or this kind of index cannot be merged.
    """
    folders = [os.fspath(shard) for shard in shards]
    if not folders:
        raise ValueError("there is nothing to merge: name at least one shard")
    parts = [FeatureIndex.load(folder, mmap=True) for folder in folders]
    _check_alike(folders, parts)
    ids = _all_ids(folders, parts)
    empty = _learned_by_all(folders, parts)
    unused = max(part.facts()["next"] for part in parts)
    facts = parts[0].facts() | {"items": len(ids), "next": unused, "notes": {}, "metadata": {}}
    for part in parts:
        facts["notes"] = part.notes | facts["notes"]
        facts["metadata"].update(part.facts()["metadata"])

    def save(path: Path) -> None:
        index = import_faiss().deserialize_index(np.frombuffer(empty, dtype=np.uint8))
        way(index, parts[0].factory).join(index, [part.raw for part in parts], path)
        if not np.array_equal(np.sort(contents.ids(stored.parse(path, mmap=True))), ids):
            raise RuntimeError(f"FAISS does not read back what was written for {os.fspath(out)!r}")

    stored.write(Path(out), save, facts)
    return Path(out)


def _check_alike(folders: Sequence[str], parts: Sequence[FeatureIndex]) -> None:
    first = parts[0]
    for folder, part in zip(folders, parts, strict=True):
        for name in SAME:
            one, other = getattr(part, name), getattr(first, name)
            if one != other:
                raise ValueError(
                    f"shards must be alike, but {folder!r} has {name} {one!r}, and {folders[0]!r} {other!r}"
                )


def _all_ids(folders: Sequence[str], parts: Sequence[FeatureIndex]) -> np.ndarray:
    """Return the ids of all parts, sorted; raise ValueError if one repeats."""
    each = [part.ids for part in parts]
    ids = np.sort(np.concatenate(each))
    if (repeated := ids[1:][ids[1:] == ids[:-1]]).size:
        where = [folder for folder, own in zip(folders, each, strict=True) if (own == repeated[0]).any()]
        raise ValueError(
            f"ids must not repeat, but {len(repeated)} do: {int(repeated[0])} is in {where}; give the items of each shard ids of "
            "their own when they are added"
        )
    return ids


def _learned_by_all(folders: Sequence[str], parts: Sequence[FeatureIndex]) -> bytes:
    first = learned(parts[0].raw, parts[0].factory)
    for folder, part in zip(folders, parts, strict=True):
        if learned(part.raw, part.factory) != first:
            raise ValueError(
                f"shard {folder!r} was not trained like {folders[0]!r}: train one index, and fill shards that its shard() makes"
            )
    return first
