"""Builds a timm model from an Architecture: a stem for small images, and a head of the right width."""

from __future__ import annotations

from typing import Any

import timm
from torch import nn

from robustfeat.backbones import small, wide_resnet  # noqa: F401  register their architectures with timm
from robustfeat.backbones.architecture import Architecture
from robustfeat.runtime.registry import unknown

PATCH = {"small": 4, "cifar": 2}


def check_name(name: str) -> None:
    """Check that timm has an architecture with this name.

    Raises:
        KeyError: timm has none; the message names the nearest architecture.
    """
    if not timm.is_model(name):
        raise unknown_architecture(name)


def unknown_architecture(name: str) -> KeyError:
    """Return the error for an architecture that timm does not have, with the nearest name."""
    known = timm.list_models()
    error = unknown("architecture", name, known)
    short = str(error).split(" Known:")[0]
    return type(error)(f"{short} (timm.list_models() has all {len(known)})")


def build(architecture: Architecture, *, pretrained_tag: str | None = None) -> nn.Module:
    """Return the timm model of an architecture, with initial weights from torch's global generator, as in timm.

    Args:
        architecture: what to build.
        pretrained_tag: a timm weight tag ("a1_in1k"), whose weights are downloaded through timm; the stem must then be "timm".

    Raises:
        KeyError: timm has no architecture with this name.
        ValueError: the stem cannot be changed.
    """
    check_name(architecture.name)
    name = f"{architecture.name}.{pretrained_tag}" if pretrained_tag else architecture.name
    given = arguments(architecture)
    model = timm.create_model(name, pretrained=pretrained_tag is not None, **given)
    if architecture.stem != "timm" and "patch_size" not in given:
        _small_stem(model, architecture)
    return model


def arguments(architecture: Architecture) -> dict[str, Any]:
    """Return the arguments of timm.create_model for an architecture, except its name."""
    given: dict[str, Any] = {"num_classes": architecture.classes}
    if _is_transformer(architecture.name):
        given["img_size"] = architecture.image_size
        if architecture.stem != "timm":
            given["patch_size"] = PATCH[architecture.stem]
    return given


def _is_transformer(name: str) -> bool:
    cfg = timm.get_pretrained_cfg(name, allow_unregistered=True)
    return cfg is not None and "patch_embed" in str(cfg.first_conv)


def _small_stem(model: nn.Module, architecture: Architecture) -> None:
    """Replace the first convolution by one of 3x3 with stride 1; for "cifar" remove the first max-pool as well."""
    path, first = next(((n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d)), (None, None))
    if path is None or first is None:
        raise ValueError(f"{architecture.name} has no convolution to adapt; use stem='timm'")
    small_stem = nn.Conv2d(first.in_channels, first.out_channels, 3, stride=1, padding=1, bias=first.bias is not None)
    nn.init.kaiming_normal_(small_stem.weight, mode="fan_out", nonlinearity="relu")
    model.set_submodule(path, small_stem)
    if architecture.stem == "cifar":
        pool = next((n for n, m in model.named_modules() if isinstance(m, nn.MaxPool2d)), None)
        if pool is not None:
            model.set_submodule(pool, nn.Identity())
