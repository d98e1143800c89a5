"""Adversarial full fine-tuning ("AFF"): all weights of a model are trained on a data set, as a baseline for frozen features."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from robustfeat.features.recipe import Recipe
from robustfeat.training.loop import train


def fine_tune(model: str | os.PathLike[str], data: str, out: str | os.PathLike[str], **recipe: Any) -> Path:
    """Train adversarially from the weights of a model and return the folder of the best weights; task "head" evaluates its head.

    Args:
        model: a published name or a model folder.
        data: a name or path that `robustfeat.dataset` understands.
        out: the folder of the run, as for `train`.
        **recipe: entries of `Recipe` that differ from the protocol of ACL and DynACL: 25 epochs of SGD at 0.01, a tenth of it
            after 1/2 and 3/4, weight decay 2e-4.

    Raises:
        Exception: whatever `load` and `train` raise.
    """
    protocol: dict[str, Any] = {"epochs": 25, "lr": 0.01, "schedule": "multistep", "warmup": 0.0, "weight_decay": 2e-4}
    return train("at", Recipe(**protocol | recipe | {"start": os.fspath(model), "data": data}), out)
