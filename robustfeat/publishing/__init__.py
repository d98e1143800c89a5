"""The publishing package writes numbers into cards, uploads models, reproduces published numbers and tabulates models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustfeat.runtime.lazy import attach

if TYPE_CHECKING:
    from robustfeat.publishing.exported import export
    from robustfeat.publishing.fixture import same_features
    from robustfeat.publishing.hub_upload import push
    from robustfeat.publishing.publication import publish
    from robustfeat.publishing.remeasured import full, quick

__all__ = ["export", "full", "publish", "push", "quick", "same_features"]

attach(__name__)
