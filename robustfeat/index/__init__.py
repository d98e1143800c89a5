"""An index of features: any FAISS index behind checks, with the user's own ids and metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustfeat.runtime.lazy import attach

if TYPE_CHECKING:
    from robustfeat.index.faiss import import_faiss
    from robustfeat.index.feature_index import FeatureIndex
    from robustfeat.index.hits import Hits, Metric
    from robustfeat.index.merging import merge

__all__ = ["FeatureIndex", "Hits", "Metric", "import_faiss", "merge"]

attach(__name__)
