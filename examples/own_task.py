"""Define a custom task in one file with the hooks for fit, judge and loss.

The library provides everything else: input checks, attacks, intervals, health checks and reports.

python examples/own_task.py MODEL [DATA]
"""

import sys

import torch

import robustfeat
from robustfeat import PGD, Eps, Threat
from robustfeat.tasks import TASKS, Task
from robustfeat.testing import check_task


@TASKS.register("nearest-mean")
class NearestMean(Task):
    """Assign an image to the class whose mean feature is nearest."""

    def __init__(self):
        super().__init__()
        self.register_buffer("means", None)

    def _fit(self, features, targets):
        self.means = torch.stack([features[targets == c].mean(dim=0) for c in range(int(targets.max()) + 1)])

    def _judge(self, features, targets):
        return {"accuracy": (self._distances(features).argmin(dim=1) == targets).float()}

    def _loss(self, features, targets):
        """Return the distance to the right mean minus that to the nearest wrong mean; it is > 0 exactly for errors."""
        distances = self._distances(features)
        right = distances.gather(1, targets[:, None]).squeeze(1)
        wrong = distances.scatter(1, targets[:, None], torch.inf).amin(dim=1)
        return right - wrong

    def _distances(self, features):
        return torch.cdist(features, self.means)


check_task(NearestMean())  # the contract: gradients, metrics in [0, 1], a loss whose rise lowers the metric

model, data = sys.argv[1], (sys.argv[2:] or ["digits"])[0]
extractor = robustfeat.load(model)
side = extractor.card.architecture.image_size
report = robustfeat.evaluate(
    extractor,
    ["nearest-mean"],
    train=robustfeat.dataset(data, "train[:300]", image_size=side),
    test=robustfeat.dataset(data, "test[:50]", image_size=side),
    attacks=[PGD(Threat("linf", Eps("8/255")), steps=10)],
)
for row in report.rows:
    print(f"{row.metric}, attack {row.attack}: {row.value:.3f}")
