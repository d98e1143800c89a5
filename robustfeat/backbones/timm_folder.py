"""How timm loads a model folder: its config.json, and an entry point for models that timm alone cannot build.

    timm.create_model("local-dir:FOLDER", pretrained=True)
    timm.create_model("hf-hub:ORG/REPO", pretrained=True)

timm alone builds its architectures with its own stems, and vision transformers of any patch size. For a convolutional network
with a stem for small images, and for the architectures of this package, the architecture is "robustfeat", which `import
robustfeat` registers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import timm
from timm.models import build_model_with_cfg, register_model
from torch import nn

from robustfeat.backbones.architecture import Architecture, Framing, Stem
from robustfeat.backbones.building import arguments, build

ENTRY = "robustfeat"


def timm_config(model: nn.Module, architecture: Architecture, classes: Sequence[str] = ()) -> str:
    """Return the text of config.json for a model that `build` made.

    timm does not normalise the images itself; mean and std are for its transforms.

    Args:
        model: the timm model.
        architecture: the architecture that it was built from.
        classes: names of the classes, written if their number is that of the head.
    """
    alone = loads_in_timm_alone(architecture)
    given = {name: value for name, value in arguments(architecture).items() if name != "num_classes"}
    known = timm.get_pretrained_cfg(architecture.name, allow_unregistered=True)
    own = {"model": architecture.name, "stem": architecture.stem, "image_size": architecture.image_size}
    modules: Any = model
    framing = architecture.framing or Framing(1.0)
    config = {
        "architecture": architecture.name if alone else ENTRY,
        "num_classes": architecture.classes,
        "num_features": modules.num_features,
        **({"label_names": list(classes)} if len(classes) == architecture.classes else {}),
        "model_args": given if alone else own,
        "pretrained_cfg": {
            "input_size": [3, architecture.image_size, architecture.image_size],
            "fixed_input_size": alone and known is not None and known.fixed_input_size,
            "interpolation": framing.interpolation,
            "crop_pct": framing.crop_pct,
            "crop_mode": framing.crop_mode,
            "mean": architecture.mean,
            "std": architecture.std,
            "num_classes": architecture.classes,
            "first_conv": next((name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)), None),
            "classifier": next(name for name, module in model.named_modules() if module is modules.get_classifier()),
        },
    }
    return json.dumps(config, indent=2) + "\n"


def loads_in_timm_alone(architecture: Architecture) -> bool:
    """Return whether timm builds the architecture without `import robustfeat`."""
    theirs = timm.model_entrypoint(architecture.name).__module__.startswith("timm.")
    return theirs and (architecture.stem == "timm" or "patch_size" in arguments(architecture))


@register_model
def robustfeat(pretrained: bool = False, **given: Any) -> nn.Module:
    """Build the model that the `model_args` of a config.json describe; timm finds this function by its name."""
    return build_model_with_cfg(_new, ENTRY, pretrained, **given)


def _new(
    model: str = "", stem: Stem = "timm", image_size: int = 224, num_classes: int = 1000, in_chans: int = 3
) -> nn.Module:
    if not model or in_chans != 3:
        raise ValueError(
            f"{ENTRY!r} builds RGB models from a folder's config.json: timm.create_model('local-dir:FOLDER')"
        )
    return build(Architecture(model, stem, num_classes, image_size))
