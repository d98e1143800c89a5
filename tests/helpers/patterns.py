"""Images of blurred patterns, and an evaluation of every kind of task on them."""

from __future__ import annotations

import torch

from robustfeat.attacks import PGD, Attack, Threat
from robustfeat.data import MemoryImages
from robustfeat.evaluation import evaluate
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import generator
from robustfeat.report import Report

HEADLINE = {"probe": "accuracy", "retrieval": "recall@1", "anomaly": "auroc", "anomaly:knn": "auroc"}
WEAK = PGD(threat=Threat("linf", Eps("8/255")), steps=3, step_size=Eps("3/255"))


def images(n: int, seed: int, classes: int = 4) -> MemoryImages:
    """8x8 images of `classes` blurred patterns in noise, hard enough that no task is perfect."""
    labels = torch.arange(n) % classes
    patterns = torch.rand(classes, 3, 8, 8, generator=generator(41))
    noise = torch.randn(n, 3, 8, 8, generator=generator(seed))
    pixels = (0.25 + 0.5 * patterns[labels] + 0.25 * noise).clamp(0, 1)
    return MemoryImages("patterns", pixels.mul(255).round().byte(), labels)


TRAIN, TEST = images(64, 42), images(40, 43)


def run(extractor: FeatureExtractor, attacks: list[Attack], tasks: list[str] | None = None, seed: int = 0) -> Report:
    return evaluate(
        extractor, tasks or list(HEADLINE), TRAIN, TEST, attacks, batch_size=16, seed=seed, progress=False, examined=0
    )
