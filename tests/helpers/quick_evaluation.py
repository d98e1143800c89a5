"""An evaluation of a second, for the tests of what is published."""

from __future__ import annotations

from robustfeat.evaluation import Evaluation
from robustfeat.numerics.eps import Eps

EVALUATION = Evaluation(
    data="digits", train="train[:100]", task=("probe",), attack=("pgd",), eps=Eps(0.1), steps=10, limit=30, examined=4
)
