"""The sources of images: each file defines one source and the names that it accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustfeat.runtime.lazy import attach
from robustfeat.runtime.registry import Registry

if TYPE_CHECKING:
    from robustfeat.data.sources.base import Opened, Source, source_of

SOURCES: Registry[Source] = Registry("data source", __name__, "SOURCES")

__all__ = ["SOURCES", "Opened", "Source", "source_of"]

attach(__name__)
