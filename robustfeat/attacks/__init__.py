"""Attacks: each raises any per-example loss of images within a threat. They know no model, no label and no task."""

from robustfeat.attacks.base import ATTACKS, Attack
from robustfeat.attacks.effort import Effort
from robustfeat.attacks.goal import Classifier, Goal
from robustfeat.attacks.threat import Threat
from robustfeat.registry import import_siblings as _import_siblings

_import_siblings(__name__, __path__)

from robustfeat.attacks.apgd import APGD  # noqa: E402
from robustfeat.attacks.budgets import Fast, Standard  # noqa: E402
from robustfeat.attacks.fgsm import FGSM  # noqa: E402
from robustfeat.attacks.noise import Noise  # noqa: E402
from robustfeat.attacks.pgd import CW, PGD  # noqa: E402
from robustfeat.attacks.reference import AutoAttack  # noqa: E402
from robustfeat.attacks.square import Square  # noqa: E402
from robustfeat.attacks.transfer import Transfer  # noqa: E402
from robustfeat.attacks.worst import Worst  # noqa: E402

__all__ = [
    "APGD",
    "ATTACKS",
    "CW",
    "FGSM",
    "PGD",
    "Attack",
    "AutoAttack",
    "Classifier",
    "Effort",
    "Fast",
    "Goal",
    "Noise",
    "Square",
    "Standard",
    "Threat",
    "Transfer",
    "Worst",
]
