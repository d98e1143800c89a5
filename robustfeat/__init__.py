"""Image features that stay meaningful under attack: distil them, load them, use them, measure them."""

from pathlib import Path as _Path

_root = _Path(__file__).resolve().parent.parent
if (_root / "setup.py").is_file() and (
    _root / "tasks"
).is_dir():  # a checkout: tasks/ and pretrained/ lie beside the package
    __path__.append(str(_root))

from robustfeat.attacks import FGSM, PGD, Attack, Threat  # noqa: E402
from robustfeat.card import Card  # noqa: E402
from robustfeat.data import dataset  # noqa: E402
from robustfeat.errors import DivergedError, IntegrityError, OfflineError  # noqa: E402
from robustfeat.extract import extract  # noqa: E402
from robustfeat.extractor import FeatureExtractor  # noqa: E402
from robustfeat.finetune import fine_tune  # noqa: E402
from robustfeat.hub import load, models, save  # noqa: E402
from robustfeat.patches import PatchExtractor  # noqa: E402
from robustfeat.recipe import Recipe  # noqa: E402
from robustfeat.report import Report  # noqa: E402
from robustfeat.tasks import evaluate  # noqa: E402
from robustfeat.train import train  # noqa: E402
from robustfeat.transformer import FeatureTransformer  # noqa: E402
from robustfeat.types import Eps  # noqa: E402
from robustfeat.version import __version__ as __version__  # noqa: E402

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
