"""Attacks: each raises a per-example loss of images within a threat, and depends on no model, no label and no task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustfeat.runtime.lazy import attach
from robustfeat.runtime.registry import Registry

if TYPE_CHECKING:
    from robustfeat.attacks.apgd import APGD
    from robustfeat.attacks.base import Attack
    from robustfeat.attacks.budgets import Fast, Standard
    from robustfeat.attacks.effort import Effort
    from robustfeat.attacks.fgsm import FGSM
    from robustfeat.attacks.goal import Classifier, Goal
    from robustfeat.attacks.noise import Noise
    from robustfeat.attacks.pgd import CW, PGD
    from robustfeat.attacks.reference import AutoAttack
    from robustfeat.attacks.square import Square
    from robustfeat.attacks.threat import Threat
    from robustfeat.attacks.transfer import Transfer
    from robustfeat.attacks.worst import Worst

ATTACKS: Registry[Attack] = Registry("attack", __name__, "ATTACKS")

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

attach(__name__)
