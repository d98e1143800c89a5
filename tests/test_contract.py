"""Every registered objective, attack and task keeps the contract; a new file is picked up without writing a test."""

from __future__ import annotations

import pytest
from outside_tasks import Far, NearestMean

from robustfeat.attacks import ATTACKS, Threat
from robustfeat.numerics.eps import Eps
from robustfeat.objectives import OBJECTIVES
from robustfeat.tasks import DETECTORS, TASKS, Task
from robustfeat.testing import check_attack, check_objective, check_task


def test_there_are_cases() -> None:
    peers = "kd crd rrm fitnet rkd fare ard iad rslad adaad"
    assert set(OBJECTIVES) >= {"natural", "at", "nfgsm", "fgsm-pgi", "liet", "trades", "gacd", *peers.split()}
    assert set(ATTACKS) >= {"fgsm", "pgd"}
    assert set(TASKS) >= {"probe", "retrieval", "anomaly", "ood"}
    assert set(DETECTORS) >= {"mahalanobis", "knn", "msp", "energy", "vim", "gmm", "one-class-svm"}


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_objective(name: str) -> None:
    check_objective(OBJECTIVES[name]())


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", list(ATTACKS))
def test_attack(name: str, norm: str) -> None:
    fewer = {"queries": 500} if name == "square" else {}
    check_attack(ATTACKS[name](threat=Threat(norm, Eps(0.1 if norm == "linf" else 0.5)), **fewer))


@pytest.mark.parametrize("name", list(TASKS))
def test_task(name: str) -> None:
    check_task(TASKS[name]())


@pytest.mark.parametrize("name", list(DETECTORS))
def test_detector(name: str) -> None:
    check_task(DETECTORS[name]())


@pytest.mark.parametrize("kind", [NearestMean, Far])
def test_a_task_of_ones_own(kind: type[Task]) -> None:
    check_task(kind())
