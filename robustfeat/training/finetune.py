"""All weights of a model, tuned adversarially on a data set ("AFF"): what frozen features are compared with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from robustfeat.features.recipe import Recipe
from robustfeat.training.loop import train


def fine_tune(model: str | os.PathLike[str], data: str, out: str | os.PathLike[str], **recipe: Any) -> Path:
    """Adversarial training that starts from a model, and the folder of its best weights; its head is evaluated as task "head".

    model: a published name or a model folder.  data, out: as for `train`.
    recipe: entries of `Recipe` that differ from the protocol of ACL and DynACL: 25 epochs of SGD at 0.01, a tenth of it after
        1/2 and 3/4, weight decay 2e-4.

    Raises what `load` and `train` raise.
    """
    protocol: dict[str, Any] = {"epochs": 25, "lr": 0.01, "schedule": "multistep", "warmup": 0.0, "weight_decay": 2e-4}
    return train("at", Recipe(**protocol | recipe | {"start": os.fspath(model), "data": data}), out)
