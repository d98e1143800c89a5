"""Objectives: what the inner attack raises and what training lowers, one file per method."""

from robustfeat.objectives.base import OBJECTIVES, Objective, Spaces
from robustfeat.objectives.views import Views
from robustfeat.registry import import_siblings as _import_siblings

_import_siblings(__name__, __path__)

from robustfeat.objectives.adaad import AdaAD  # noqa: E402
from robustfeat.objectives.adversarial import AdversarialTraining  # noqa: E402
from robustfeat.objectives.ard import ARD  # noqa: E402
from robustfeat.objectives.crd import CRD  # noqa: E402
from robustfeat.objectives.fare import FARE  # noqa: E402
from robustfeat.objectives.fitnet import FitNet  # noqa: E402
from robustfeat.objectives.gacd import GACD  # noqa: E402
from robustfeat.objectives.iad import IAD  # noqa: E402
from robustfeat.objectives.kd import KD  # noqa: E402
from robustfeat.objectives.natural import Natural  # noqa: E402
from robustfeat.objectives.nfgsm import NFGSM  # noqa: E402
from robustfeat.objectives.rkd import RKD  # noqa: E402
from robustfeat.objectives.rrm import RRM  # noqa: E402
from robustfeat.objectives.rslad import RSLAD  # noqa: E402
from robustfeat.objectives.trades import TRADES  # noqa: E402

__all__ = [
    "ARD",
    "CRD",
    "FARE",
    "GACD",
    "IAD",
    "KD",
    "NFGSM",
    "OBJECTIVES",
    "RKD",
    "RRM",
    "RSLAD",
    "TRADES",
    "AdaAD",
    "AdversarialTraining",
    "FitNet",
    "Natural",
    "Objective",
    "Spaces",
    "Views",
]
