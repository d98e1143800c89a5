"""Attacks: each raises any per-example loss of images within a threat. They know no model, no label and no task."""

from robustfeat.attacks.base import ATTACKS, Attack, Threat
from robustfeat.registry import import_siblings as _import_siblings

_import_siblings(__name__, __path__)

from robustfeat.attacks.fgsm import FGSM  # noqa: E402
from robustfeat.attacks.pgd import PGD  # noqa: E402

__all__ = ["ATTACKS", "FGSM", "PGD", "Attack", "Threat"]
