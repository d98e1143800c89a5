"""Tasks on frozen features, with one file per task; detectors and metrics have separate folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustfeat.runtime.lazy import attach
from robustfeat.runtime.registry import Registry
from robustfeat.tasks.detectors import DETECTORS

if TYPE_CHECKING:
    from robustfeat.tasks.adversarial_probe import AdversarialProbe
    from robustfeat.tasks.base import Task
    from robustfeat.tasks.compatible import Compatible
    from robustfeat.tasks.detectors import (
        GMM,
        KNN,
        MSP,
        AnomalyDetector,
        ClassMahalanobis,
        Energy,
        Mahalanobis,
        OneClassSVM,
        PatchCore,
        ViM,
    )
    from robustfeat.tasks.head import Head
    from robustfeat.tasks.knn_probe import KNNProbe
    from robustfeat.tasks.metrics.pixel import aupro, pixel_auroc
    from robustfeat.tasks.names import named
    from robustfeat.tasks.one_class import OneClass
    from robustfeat.tasks.out_of_distribution import OutOfDistribution
    from robustfeat.tasks.poisoning import Poisoning
    from robustfeat.tasks.probe import LinearProbe
    from robustfeat.tasks.ranks import Ranks
    from robustfeat.tasks.retrieval import Retrieval
    from robustfeat.tasks.stored import load_task, save_task

TASKS: Registry[Task] = Registry("task", __name__, "TASKS")

CLASSIC = ("probe", "retrieval", "anomaly")
"""The default tasks of an evaluation."""

__all__ = [
    "CLASSIC",
    "DETECTORS",
    "GMM",
    "KNN",
    "MSP",
    "TASKS",
    "AdversarialProbe",
    "AnomalyDetector",
    "ClassMahalanobis",
    "Compatible",
    "Energy",
    "Head",
    "KNNProbe",
    "LinearProbe",
    "Mahalanobis",
    "OneClass",
    "OneClassSVM",
    "OutOfDistribution",
    "PatchCore",
    "Poisoning",
    "Ranks",
    "Retrieval",
    "Task",
    "ViM",
    "aupro",
    "load_task",
    "named",
    "pixel_auroc",
    "save_task",
]

attach(__name__)
