"""STL-10, by its name."""

from __future__ import annotations

from robustfeat.data.sources import SOURCES
from robustfeat.data.sources.named_set import NamedSet


@SOURCES.register("stl10")
class STL10(NamedSet):
    """STL-10: 10 kinds of objects in 96x96 pixels, 5,000 labelled images to train on and 8,000 to test."""

    hub_id = "tanganke/stl10"
