"""Backbones: any timm architecture, adapted to the size of the images."""

from robustfeat.backbones import small, wide_resnet  # noqa: F401  register their architectures with timm
from robustfeat.backbones.build import build, check_name
from robustfeat.backbones.timm_folder import loads_in_timm_alone, timm_config
from robustfeat.backbones.timm_framing import as_timm_sees

__all__ = ["as_timm_sees", "build", "check_name", "loads_in_timm_alone", "timm_config"]
