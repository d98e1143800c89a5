"""Recall@1 and MAP@R with a gallery of 50,000 items: the task `Retrieval` and pytorch-metric-learning on the same features.

5,000 queries, 512 wide, 100 classes (R about 500). Time in turns; memory is the peak of the resident set above the start, each in
a process of its own. Goal: not slower, less memory.
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import FaissKNN
from side_by_side import peak_memory, ratio
from torch import Tensor

from robustfeat.numerics.random import generator
from robustfeat.tasks import Retrieval

CLASSES, WIDTH = 100, 512


def data(items: int, queries: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    random = generator(0)
    labels = torch.randint(CLASSES, (items + queries,), generator=random)
    centres = torch.randn(CLASSES, WIDTH, generator=random)
    features = torch.nn.functional.normalize(centres[labels] + 2.5 * torch.randn(len(labels), WIDTH, generator=random))
    return features[:items], labels[:items], features[items:], labels[items:]


def ours(gallery: Tensor, gallery_labels: Tensor, queries: Tensor, labels: Tensor) -> dict[str, float]:
    return Retrieval(deep=False).fit(gallery, gallery_labels).score(queries, labels)


def theirs(gallery: Tensor, gallery_labels: Tensor, queries: Tensor, labels: Tensor) -> dict[str, float]:
    """Its default search is FAISS by Euclidean distance: the same order for features of length 1."""
    calculator = AccuracyCalculator(
        include=("precision_at_1", "mean_average_precision_at_r"),
        knn_func=FaissKNN(),
        device=torch.device("cpu"),
        k="max_bin_count",
    )
    return calculator.get_accuracy(queries, labels, gallery, gallery_labels, ref_includes_query=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=5_000)
    options = parser.parse_args()
    size = options.items, options.queries
    parts = data(*size)
    one, other = ours(*parts), theirs(*parts)
    for mine, yours in (("recall@1", "precision_at_1"), ("map@r", "mean_average_precision_at_r")):
        print(f"{mine}: ours {one[mine]:.9f}, pytorch-metric-learning {other[yours]:.9f}")
    a, b, r = ratio(lambda: ours(*parts), lambda: theirs(*parts), rounds=3, warmup=0)
    print(f"time: ours {a:.1f} s, pytorch-metric-learning {b:.1f} s, ratio {r:.2f}")
    own, their = (peak_memory(function, partial(data, *size)) for function in (ours, theirs))
    print(f"peak memory: ours {own:.0f} MiB, pytorch-metric-learning {their:.0f} MiB, {their / own:.1f} times less")
