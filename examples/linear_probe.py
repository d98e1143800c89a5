"""Measure the accuracy of a linear probe on the features of a model, clean and under attack.

python examples/linear_probe.py MODEL [DATA]
"""

import sys

import robustfeat
from robustfeat import PGD, Eps, Threat

model, data = sys.argv[1], (sys.argv[2:] or ["digits"])[0]
extractor = robustfeat.load(model)
side = extractor.card.architecture.image_size
train, test = (robustfeat.dataset(data, split, image_size=side) for split in ("train", "test"))

report = robustfeat.evaluate(
    extractor,
    ["probe", "knn-probe"],  # a linear classifier, and voting neighbours
    train=train.shots(20),  # 20 images of each class; leave it out for all of them
    test=test.head(100),
    attacks=[PGD(Threat("linf", Eps("8/255")), steps=10)],
)
for row in report.rows:
    print(f"{row.task} {row.metric}, attack {row.attack}: {row.value:.3f} [{row.low:.3f}, {row.high:.3f}]")
for warning in report.warnings():
    print(f"! {warning}")
