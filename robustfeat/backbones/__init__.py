"""Backbones: any timm architecture, adapted to the size of the images, as one network with normalisation and head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustfeat.runtime.lazy import attach

if TYPE_CHECKING:
    from robustfeat.backbones.building import arguments, build, check_name
    from robustfeat.backbones.timm_folder import loads_in_timm_alone, timm_config
    from robustfeat.backbones.timm_framing import as_timm_sees

__all__ = ["arguments", "as_timm_sees", "build", "check_name", "loads_in_timm_alone", "timm_config"]

attach(__name__)
