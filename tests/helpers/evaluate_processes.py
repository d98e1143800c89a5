"""Run by test_records on several ranks: an evaluation of n test images, whose report each rank writes."""

from __future__ import annotations

import sys

import torch.distributed as dist

from robustfeat.attacks import PGD, Threat
from robustfeat.backbones.architecture import Architecture
from robustfeat.data import dataset
from robustfeat.evaluation import evaluate
from robustfeat.features.card import Card
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.runtime.parallel import rank
from robustfeat.testing import small_network

n, out = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo")
network = small_network(0, classes=10)
extractor = FeatureExtractor(network, Card("small", Architecture("cnn_tiny", image_size=8), network.feature_dim))
data = dataset("digits", "train[:200]"), dataset("digits", f"test[:{n}]")
attack = PGD(Threat("linf", 0.05), steps=3)
report = evaluate(extractor, ["probe", "retrieval"], *data, [attack], batch_size=8, examined=0, progress=False)
report.save(f"{out}-{rank()}.json")
dist.destroy_process_group()
