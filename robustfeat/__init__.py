"""Image features that stay meaningful under attack: distil them, load them, use them, measure them."""

from __future__ import annotations

from pathlib import Path as _Path
from typing import TYPE_CHECKING

_root = _Path(__file__).resolve().parent.parent
if (_root / "setup.py").is_file() and (
    _root / "tasks"
).is_dir():  # a checkout: tasks/ and pretrained/ lie beside the package
    __path__.append(str(_root))

from robustfeat.lazy import attach  # noqa: E402
from robustfeat.version import __version__ as __version__  # noqa: E402

if TYPE_CHECKING:
    from robustfeat.attacks import FGSM, PGD, Attack, Threat
    from robustfeat.card import Card
    from robustfeat.data import dataset
    from robustfeat.eps import Eps
    from robustfeat.errors import DivergedError, IntegrityError, OfflineError
    from robustfeat.extract import extract
    from robustfeat.extractor import FeatureExtractor
    from robustfeat.finetune import fine_tune
    from robustfeat.hub import load, save
    from robustfeat.patches import PatchExtractor
    from robustfeat.recipe import Recipe
    from robustfeat.report import Report
    from robustfeat.shipped import models
    from robustfeat.tasks import evaluate
    from robustfeat.train import train
    from robustfeat.transformer import FeatureTransformer

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
    "load",
    "models",
    "save",
    "train",
]

attach(__name__)
