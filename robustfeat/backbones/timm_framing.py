"""How timm prepares images for its models: size, normalisation and framing of an evaluation."""

from __future__ import annotations

import dataclasses

from timm.data import resolve_data_config
from timm.models import PretrainedCfg

from robustfeat.backbones.architecture import Architecture, Framing


def as_timm_sees(architecture: Architecture, cfg: PretrainedCfg) -> Architecture:
    """Return the architecture with the size, normalisation and framing of timm's evaluation.

    The images are then prepared as by `timm.data.create_transform(**resolve_data_config(cfg), is_training=False)`.
    """
    found = resolve_data_config(pretrained_cfg=cfg.to_dict())
    fill = tuple(round(255 * value) for value in found["mean"]) if found["crop_mode"] == "border" else (0, 0, 0)
    return dataclasses.replace(
        architecture,
        classes=cfg.num_classes or 1000,
        image_size=found["input_size"][-1],
        mean=tuple(found["mean"]),
        std=tuple(found["std"]),
        framing=Framing(found["crop_pct"], found["interpolation"], found["crop_mode"], fill),
    )
