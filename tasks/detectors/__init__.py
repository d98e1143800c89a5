"""Anomaly detectors, which are fitted on normal features and give every feature an anomaly score; one file per detector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustfeat.runtime.lazy import attach
from robustfeat.runtime.registry import Registry

if TYPE_CHECKING:
    from robustfeat.tasks.detectors.base import AnomalyDetector
    from robustfeat.tasks.detectors.class_mahalanobis import ClassMahalanobis
    from robustfeat.tasks.detectors.gmm import GMM
    from robustfeat.tasks.detectors.knn import KNN
    from robustfeat.tasks.detectors.logit_scores import MSP, Energy
    from robustfeat.tasks.detectors.mahalanobis import Mahalanobis
    from robustfeat.tasks.detectors.one_class_svm import OneClassSVM
    from robustfeat.tasks.detectors.patchcore import PatchCore
    from robustfeat.tasks.detectors.vim import ViM

DETECTORS: Registry[AnomalyDetector] = Registry("anomaly detector", __name__, "DETECTORS")

__all__ = [
    "DETECTORS",
    "GMM",
    "KNN",
    "MSP",
    "AnomalyDetector",
    "ClassMahalanobis",
    "Energy",
    "Mahalanobis",
    "OneClassSVM",
    "PatchCore",
    "ViM",
]

attach(__name__)
