"""Image features that stay meaningful under attack: distil them, load them, use them, measure them."""

from __future__ import annotations

from pathlib import Path as _Path
from typing import TYPE_CHECKING

_root = _Path(__file__).resolve().parent.parent
if (_root / "setup.py").is_file() and (
    _root / "tasks"
).is_dir():  # a checkout: tasks/ and pretrained/ lie beside the package
    __path__.append(str(_root))

from robustfeat.runtime.lazy import attach  # noqa: E402
from robustfeat.runtime.version import __version__ as __version__  # noqa: E402

if TYPE_CHECKING:
    from robustfeat.attacks import FGSM, PGD, Attack, Threat
    from robustfeat.data import dataset
    from robustfeat.evaluation import evaluate
    from robustfeat.features.card import Card
    from robustfeat.features.extraction import extract
    from robustfeat.features.extractor import FeatureExtractor
    from robustfeat.features.hub import load, save
    from robustfeat.features.patches import PatchExtractor
    from robustfeat.features.recipe import Recipe
    from robustfeat.features.shipped import models
    from robustfeat.features.transformer import FeatureTransformer
    from robustfeat.numerics.eps import Eps
    from robustfeat.report import Report
    from robustfeat.runtime.errors import DivergedError, IntegrityError, OfflineError
    from robustfeat.training.finetune import fine_tune
    from robustfeat.training.hardening import harden
    from robustfeat.training.loop import train

__all__ = [
    "FGSM",
    "PGD",
    "Attack",
    "Card",
    "DivergedError",
    "Eps",
    "FeatureExtractor",
    "FeatureTransformer",
    "IntegrityError",
    "OfflineError",
    "PatchExtractor",
    "Recipe",
    "Report",
    "Threat",
    "dataset",
    "evaluate",
    "extract",
    "fine_tune",
    "harden",
    "load",
    "models",
    "save",
    "train",
]

attach(__name__)
