"""A search of the whole index, for when a search of some clusters or a part of the graph found too few items."""

from __future__ import annotations

from typing import Any

import numpy as np

from robustfeat.index.contents import levels
from robustfeat.index.faiss import import_faiss, search
from robustfeat.index.options import options


def search_everywhere(index: Any, x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and ids (n, k) of a search of all clusters, or of the whole graph.

    Raises:
        RuntimeError: even this search finds fewer than k items.
    """
    inner = import_faiss().try_extract_index_ivf(index) or levels(index)[-1]
    wide = options(index, nprobe=getattr(inner, "nlist", None), ef_search=max(1, int(index.ntotal)))
    if wide is None:
        raise RuntimeError(f"the index found fewer than {k} items; ask for fewer")
    scores, ids = search(index, x, k, wide)
    if (ids < 0).any():
        raise RuntimeError(f"the index found fewer than {k} items; ask for fewer")
    return scores, ids
