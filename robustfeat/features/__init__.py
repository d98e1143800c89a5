"""Feature extractors: cards, loading, saving and downloading models, and feature extraction over data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustfeat.runtime.lazy import attach

if TYPE_CHECKING:
    from robustfeat.features.card import Card
    from robustfeat.features.extraction import extract
    from robustfeat.features.extractor import FeatureExtractor
    from robustfeat.features.hub import load, save
    from robustfeat.features.patches import PatchExtractor
    from robustfeat.features.recipe import Recipe
    from robustfeat.features.shard import Shard
    from robustfeat.features.shipped import models
    from robustfeat.features.stored import StoredFeatures, read_features
    from robustfeat.features.transformer import FeatureTransformer

__all__ = [
    "Card",
    "FeatureExtractor",
    "FeatureTransformer",
    "PatchExtractor",
    "Recipe",
    "Shard",
    "StoredFeatures",
    "extract",
    "load",
    "models",
    "read_features",
    "save",
]

attach(__name__)
