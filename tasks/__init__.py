"""Tasks on frozen features, and their evaluation clean and under attack."""

from robustfeat.tasks.anomaly import DETECTORS, AnomalyDetector
from robustfeat.tasks.base import TASKS, Task
from robustfeat.tasks.compare import Difference, compare
from robustfeat.tasks.evaluate import evaluate
from robustfeat.tasks.gmm import GMM
from robustfeat.tasks.knn import KNN
from robustfeat.tasks.ladder import ladder
from robustfeat.tasks.logit_scores import MSP, Energy
from robustfeat.tasks.mahalanobis import Mahalanobis
from robustfeat.tasks.named import named
from robustfeat.tasks.one_class import OneClass
from robustfeat.tasks.one_class_svm import OneClassSVM
from robustfeat.tasks.out_of_distribution import OutOfDistribution
from robustfeat.tasks.probe import LinearProbe
from robustfeat.tasks.records import Records
from robustfeat.tasks.recount import recount
from robustfeat.tasks.retrieval import Retrieval
from robustfeat.tasks.vim import ViM

from robustfeat.registry import import_siblings as _import_siblings

_import_siblings(__name__, __path__)

__all__ = [
    "DETECTORS",
    "GMM",
    "KNN",
    "MSP",
    "TASKS",
    "AnomalyDetector",
    "Difference",
    "Energy",
    "LinearProbe",
    "Mahalanobis",
    "OneClass",
    "OneClassSVM",
    "OutOfDistribution",
    "Records",
    "Retrieval",
    "Task",
    "ViM",
    "compare",
    "evaluate",
    "ladder",
    "named",
    "recount",
]
