"""Backbones: any timm architecture, adapted to the size of the images."""

from robustfeat.backbones import small  # noqa: F401  registers its architectures with timm
from robustfeat.backbones.build import build, check_name

__all__ = ["build", "check_name"]
