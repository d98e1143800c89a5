"""One Mahalanobis detector for each of ten classes, fitted and scoring 10,000 images: `OneClass` and a loop of scikit-learn's.

50,000 x 512 features to learn from. Goal: not slower, the same AUROC.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from side_by_side import ratio
from sklearn.covariance import ShrunkCovariance
from sklearn.metrics import roc_auc_score
from torch import Tensor

from robustfeat.numerics.random import generator
from robustfeat.tasks import Mahalanobis, OneClass

CLASSES, SHRINKAGE = 10, 0.1


def data(n: int, tested: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    random = generator(0)
    labels = torch.randint(CLASSES, (n + tested,), generator=random)
    mixing = torch.randn(width, width, generator=random) / width**0.5
    centres = 0.15 * torch.randn(CLASSES, width, generator=random)
    features = (centres[labels] + torch.randn(len(labels), width, generator=random)) @ mixing
    return features[:n], labels[:n], features[n:], labels[n:]


def ours(learnt: Tensor, known: Tensor, tested: Tensor, labels: Tensor) -> float:
    task = OneClass(Mahalanobis(SHRINKAGE)).fit(learnt, known)
    rows, targets = task.cases(labels, tested)
    return task.score(tested[rows], targets)["auroc"]


def theirs(learnt: Tensor, known: Tensor, tested: Tensor, labels: Tensor) -> float:
    found = []
    for c in range(CLASSES):
        covariance = ShrunkCovariance(shrinkage=SHRINKAGE / (1 + SHRINKAGE)).fit(learnt[known == c].double().numpy())
        found.append(roc_auc_score((labels != c).numpy(), covariance.mahalanobis(tested.double().numpy())))
    return float(np.mean(found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=50_000)
    parser.add_argument("--tested", type=int, default=10_000)
    parser.add_argument("--width", type=int, default=512)
    options = parser.parse_args()
    parts = data(options.n, options.tested, options.width)
    print(f"AUROC: ours {ours(*parts):.9f}, scikit-learn {theirs(*parts):.9f}")
    a, b, r = ratio(lambda: ours(*parts), lambda: theirs(*parts), rounds=5, warmup=0)
    print(f"time: ours {a:.1f} s, scikit-learn {b:.1f} s, ratio {r:.2f}")
