"""What was evaluated of a model that was published, its recipe, and copies of it with another card."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

from robustfeat.evaluation import Evaluation
from robustfeat.features import hub
from robustfeat.features.recipe import Recipe
from robustfeat.numerics.eps import Eps

MAIN = Evaluation(
    data="digits", train="train[:300]", task=("probe", "retrieval"), attack=("fgsm", "pgd"), eps=Eps(0.05), steps=4, limit=120,
    batch_size=50, examined=0,
)  # fmt: skip
CURVE = dataclasses.replace(MAIN, task=("head",), attack=("pgd",), curve="0.02,0.05", limit=80, seed=3)
SIDES = dataclasses.replace(MAIN, task=("anomaly",), attack=("pgd",), steps=1, limit=40, seed=3)
RECIPE = Recipe(
    data="digits", train="train[:400]", held_out="train[400:450]", student="cnn_tiny", stem="timm", eps=Eps(0.1), steps=2,
    step_size=Eps(0.05), max_steps=40, batch_size=32, crop=1, flip=False, channels_last=False, eval_steps=2,
)  # fmt: skip


def changed(published: Path, folder: Path, **changes: Any) -> Path:
    """A copy of the model with another card."""
    shutil.copytree(published, folder, dirs_exist_ok=True)
    card = dataclasses.replace(hub.read_card(published), **changes)
    (folder / "card.json").write_text(card.to_json())
    return folder
