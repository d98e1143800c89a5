"""This module registers STL-10 by its name."""

from __future__ import annotations

from robustfeat.data.sources import SOURCES
from robustfeat.data.sources.named_set import NamedSet


@SOURCES.register("stl10")
class STL10(NamedSet):
    """STL-10: 10 classes of objects in 96x96 pixels, 5,000 labelled training and 8,000 test images."""

    hub_id = "tanganke/stl10"
