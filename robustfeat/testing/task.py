"""The check of the contract of tasks and anomaly detectors."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from robustfeat.data import MemoryImages
from robustfeat.features.card import Card
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.random import generator
from robustfeat.tasks import AnomalyDetector, Task
from robustfeat.testing.copies import check_copies, check_types
from robustfeat.testing.network import small_network
from robustfeat.testing.nonsense import check_nothing_to_ask, check_nothing_to_learn, check_unfitted
from robustfeat.training.heads import fit_head


def check_task(task: Task, *, seed: int = 0) -> None:
    """Check that a task fulfils its contract on small generated data.

    The task must fit, have metrics in [0, 1] and a finite gradient that is not zero, and its headline metric must fall when the
    loss rises. It must refuse invalid training data and invalid cases, and give the same results after copying, pickling, and
    loading of its state into an unfitted task.

    Args:
        task: an unfitted task, as its constructor makes it; it is fitted by the check.
        seed: of the data.

    Raises:
        AssertionError: if the task violates the contract.
    """
    random = generator(seed)
    labels = torch.arange(80) % 4
    fresh = copy.deepcopy(task)
    check_unfitted(task, torch.randn(80, 16, generator=random), labels)
    detector = isinstance(task, AnomalyDetector)
    # What is anomalous, if anything, are the classes that training has not seen.
    known = labels < (1 if detector and not task.needs_classes else 3 if detector or task.novel_classes else 4)
    features = _fitted(task, labels, known, random)[60:]
    rows, targets = task.cases((~known[60:]).long() if detector else labels[60:], features)
    tested = features[rows]
    check_nothing_to_learn(fresh, features, labels[60:])
    check_nothing_to_ask(task, tested, targets)
    check_copies(task, fresh, tested, targets)
    check_types(task, tested, targets)
    clean = task.score(tested, targets)
    assert all(0 <= value <= 1 for value in clean.values()), f"metrics must be in [0, 1], got {clean}"
    # Attacks start near an image, not at it: how far its feature moved has no gradient there.
    within_reach = torch.stack(list(task.columns(targets).values())).any(dim=0)
    nearby = tested + 0.05 * tested.std() * torch.randn(tested.shape, generator=random)
    moved = nearby.clone().requires_grad_()
    values = task.loss(moved, targets)
    assert values.shape == (len(targets),), f"loss must have one value per case, got {tuple(values.shape)}"
    (gradient,) = torch.autograd.grad(values.sum(), moved)
    assert torch.isfinite(gradient).all(), "the gradient of the loss must be finite"
    assert (gradient.abs().sum(dim=1) > 0)[within_reach].all(), "every case needs a gradient, or an attack does nothing"
    worse = nearby
    for _ in range(20):
        x = worse.clone().requires_grad_()
        (step,) = torch.autograd.grad(task.loss(x, targets).sum(), x)
        worse = (x + 0.5 * tested.std() * step / step.norm(dim=1, keepdim=True).clamp_min(1e-12)).detach()
    rose = (task.loss(worse, targets) > task.loss(nearby, targets))[within_reach]
    assert rose.float().mean() > 0.9, "climbing the loss must raise it"
    headline = next(iter(clean))
    attacked = task.score(torch.where(within_reach[:, None], worse, tested), targets)
    assert attacked[headline] < clean[headline], f"raising the loss must lower {headline!r}"
    for name, mask in task.columns(targets).items():
        assert mask.dtype == torch.bool, f"column {name!r} must be a bool mask"
        assert len(mask) == len(targets), f"column {name!r} must cover every case"


def _fitted(task: Task, labels: Tensor, known: Tensor, random: torch.Generator) -> Tensor:
    """Fit the task on the first 60 features of clustered classes, and return all features.

    They come from images and a small network only for tasks that learn from images.
    """
    if type(task)._fit_on is Task._fit_on:
        centres = 3 * torch.randn(4, 16, generator=random)
        features = centres[labels] + torch.randn(80, 16, generator=random)
        task.fit(features[:60][known[:60]], labels[:60][known[:60]])
        return features
    centres = torch.rand(4, 3, 8, 8, generator=random)
    images = (centres[labels] + 0.1 * torch.randn(80, 3, 8, 8, generator=random)).clamp(0, 1)
    data = MemoryImages("classes", (255 * images).byte(), labels)
    network = small_network(0)
    fit_head(network, data)
    extractor = FeatureExtractor(network, Card("small", network.architecture, network.feature_dim))
    features = torch.from_numpy(extractor.transform(data))
    task.fit_on(extractor, data.take(torch.arange(60)), features[:60])
    return features
