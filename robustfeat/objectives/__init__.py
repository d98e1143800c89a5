"""Objectives: the loss that the inner attack raises and the loss that training minimises, one file per method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustfeat.runtime.lazy import attach
from robustfeat.runtime.registry import Registry

if TYPE_CHECKING:
    from robustfeat.objectives.adaad import AdaAD
    from robustfeat.objectives.adversarial import AdversarialTraining
    from robustfeat.objectives.ard import ARD
    from robustfeat.objectives.base import Objective, Spaces
    from robustfeat.objectives.crd import CRD
    from robustfeat.objectives.fare import FARE
    from robustfeat.objectives.fgsm_pgi import FGSMPGI
    from robustfeat.objectives.fitnet import FitNet
    from robustfeat.objectives.gacd import GACD
    from robustfeat.objectives.iad import IAD
    from robustfeat.objectives.kd import KD
    from robustfeat.objectives.liet import LIET
    from robustfeat.objectives.natural import Natural
    from robustfeat.objectives.nfgsm import NFGSM
    from robustfeat.objectives.rkd import RKD
    from robustfeat.objectives.rrm import RRM
    from robustfeat.objectives.rslad import RSLAD
    from robustfeat.objectives.trades import TRADES
    from robustfeat.objectives.views import Views

OBJECTIVES: Registry[Objective] = Registry("objective", __name__, "OBJECTIVES")

__all__ = [
    "ARD",
    "CRD",
    "FARE",
    "FGSMPGI",
    "GACD",
    "IAD",
    "KD",
    "LIET",
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

attach(__name__)
