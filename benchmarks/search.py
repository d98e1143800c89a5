"""Search and build through `FeatureIndex` against raw FAISS: 100,000 x 512, "Flat", cosine.

Raw FAISS has float32 items that are normalised already; it normalises its queries, as any user of cosines must. The build is a
stream of chunks: once against FAISS that only copies them, and once against FAISS and a normalisation of each chunk. What
FeatureIndex does besides: it looks for NaN and infinite values, and whether ids repeat.
"""

from __future__ import annotations

from collections.abc import Callable

import faiss
import numpy as np
from side_by_side import ratio

from robustfeat.index import FeatureIndex

ITEMS, WIDTH, CHUNK, K = 100_000, 512, 1_000, 10


def normalised(x: np.ndarray) -> np.ndarray:
    out = x.copy()
    faiss.normalize_L2(out)
    return out


def stream(x: np.ndarray, ids: np.ndarray, add: Callable[[np.ndarray, np.ndarray], object]) -> None:
    for start in range(0, len(x), CHUNK):
        add(x[start : start + CHUNK], ids[start : start + CHUNK])


def raw() -> faiss.IndexIDMap2:
    return faiss.IndexIDMap2(faiss.IndexFlatIP(WIDTH))


def build_raw(x: np.ndarray, ids: np.ndarray, prepare: Callable[[np.ndarray], np.ndarray]) -> None:
    index = raw()
    stream(x, ids, lambda part, keys: index.add_with_ids(prepare(part), keys))


if __name__ == "__main__":
    random = np.random.default_rng(0)
    items = random.standard_normal((ITEMS, WIDTH), dtype=np.float32)
    ids = random.permutation(ITEMS)
    unit = normalised(items)
    ours, other = FeatureIndex(WIDTH).add(items, ids), raw()
    other.add_with_ids(unit, ids)
    theirs = ours.raw  # the same memory: two copies of an index differ by more, depending on where they lie
    for batch, rounds in ((1, 151), (1_000, 9)):
        queries = random.standard_normal((batch, WIDTH), dtype=np.float32)
        np.testing.assert_array_equal(ours.search(queries, K).ids, other.search(normalised(queries), K)[1])
        a, b, r = ratio(
            lambda q=queries: ours.search(q, K), lambda q=queries: theirs.search(normalised(q), K), rounds=rounds
        )
        print(f"search, batch {batch}: FeatureIndex {1000 * a:.2f} ms, raw {1000 * b:.2f} ms: {100 * (r - 1):+.1f} %")
    for name, given, prepare in (("raw", unit, np.asarray), ("raw and normalising", items, normalised)):
        a, b, r = ratio(
            lambda: stream(items, ids, FeatureIndex(WIDTH).add),
            lambda given=given, prepare=prepare: build_raw(given, ids, prepare),
            rounds=9,
        )
        print(f"build: FeatureIndex {ITEMS / a:,.0f} items a second, {name} {ITEMS / b:,.0f}: {r:.2f} times as long")
