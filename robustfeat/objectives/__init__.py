"""Objectives: what the inner attack raises and what training lowers, one file per method."""

from robustfeat.objectives.base import OBJECTIVES, Objective, Spaces
from robustfeat.objectives.views import Views
from robustfeat.registry import import_siblings as _import_siblings

_import_siblings(__name__, __path__)

from robustfeat.objectives.adversarial import AdversarialTraining  # noqa: E402
from robustfeat.objectives.gacd import GACD  # noqa: E402
from robustfeat.objectives.natural import Natural  # noqa: E402
from robustfeat.objectives.nfgsm import NFGSM  # noqa: E402
from robustfeat.objectives.trades import TRADES  # noqa: E402

__all__ = ["GACD", "NFGSM", "OBJECTIVES", "TRADES", "AdversarialTraining", "Natural", "Objective", "Spaces", "Views"]
