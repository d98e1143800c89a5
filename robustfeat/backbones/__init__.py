"""Backbones: any timm architecture, adapted to the size of the images."""

from robustfeat.backbones import small, wide_resnet  # noqa: F401  register their architectures with timm
from robustfeat.backbones.build import build, check_name
from robustfeat.backbones.timm_folder import loads_in_timm_alone, timm_config

__all__ = ["build", "check_name", "loads_in_timm_alone", "timm_config"]
