"""Tasks on frozen features, and their evaluation clean and under attack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustfeat.lazy import attach
from robustfeat.registry import Registry

if TYPE_CHECKING:
    from robustfeat.tasks.adversarial_probe import AdversarialProbe
    from robustfeat.tasks.anomaly import AnomalyDetector
    from robustfeat.tasks.base import Task
    from robustfeat.tasks.class_mahalanobis import ClassMahalanobis
    from robustfeat.tasks.compare import Difference, compare
    from robustfeat.tasks.evaluate import evaluate
    from robustfeat.tasks.evaluation import Evaluation
    from robustfeat.tasks.gmm import GMM
    from robustfeat.tasks.head import Head
    from robustfeat.tasks.knn import KNN
    from robustfeat.tasks.knn_probe import KNNProbe
    from robustfeat.tasks.ladder import ladder
    from robustfeat.tasks.logit_scores import MSP, Energy
    from robustfeat.tasks.mahalanobis import Mahalanobis
    from robustfeat.tasks.named import named
    from robustfeat.tasks.one_class import OneClass
    from robustfeat.tasks.one_class_svm import OneClassSVM
    from robustfeat.tasks.out_of_distribution import OutOfDistribution
    from robustfeat.tasks.patchcore import PatchCore
    from robustfeat.tasks.pixel_metrics import aupro, pixel_auroc
    from robustfeat.tasks.poisoning import Poisoning
    from robustfeat.tasks.probe import LinearProbe
    from robustfeat.tasks.ranks import Ranks
    from robustfeat.tasks.records import Records
    from robustfeat.tasks.recount import recount
    from robustfeat.tasks.retrieval import Retrieval
    from robustfeat.tasks.stored import load_task, save_task
    from robustfeat.tasks.transfer import Transfer, transfer
    from robustfeat.tasks.vim import ViM

TASKS: Registry[Task] = Registry("task", __name__, "TASKS")
DETECTORS: Registry[AnomalyDetector] = Registry("anomaly detector", __name__, "DETECTORS")

CLASSIC = ("probe", "retrieval", "anomaly")
"""The tasks that an evaluation has unless others are named."""

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
    "Difference",
    "Energy",
    "Evaluation",
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
    "Records",
    "Retrieval",
    "Task",
    "Transfer",
    "ViM",
    "aupro",
    "compare",
    "evaluate",
    "ladder",
    "load_task",
    "named",
    "pixel_auroc",
    "recount",
    "save_task",
    "transfer",
]

attach(__name__)
