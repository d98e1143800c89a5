"""The contract of objectives, attacks, tasks and data sources, as checks that anybody can run on his own: one call per class.

Each check raises AssertionError with what is wrong. They are what the library's own classes are tested with.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from robustfeat.attacks import Attack, Classifier, Goal, Threat
from robustfeat.backbones.architecture import Architecture
from robustfeat.backbones.network import Network, new_network
from robustfeat.data import ImageDataset, MemoryImages, Source, dataset
from robustfeat.data.sources import source_of
from robustfeat.features.card import Card
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics import losses
from robustfeat.numerics.random import generator
from robustfeat.numerics.types import Batch, Images, Logits
from robustfeat.objectives import Objective, Spaces
from robustfeat.runtime.errors import UnknownNameError
from robustfeat.tasks import AnomalyDetector, Task
from robustfeat.training.distiller import Distiller
from robustfeat.training.heads import fit_head


def small_network(seed: int, name: str = "cnn_tiny", classes: int = 4) -> Network:
    """An untrained network for 8x8 images, the same for the same seed; the global random state is left alone."""
    return new_network(Architecture(name, classes=classes, image_size=8), seed)


def check_objective(objective: Objective, *, seed: int = 0) -> None:
    """One training step: finite terms, a gradient for the student and none for the teacher, modes and images untouched."""
    random = generator(seed)
    student, teacher = small_network(seed), small_network(seed + 1)
    labels = torch.arange(12) % 4
    batch = Batch(torch.rand(12, 3, 8, 8, generator=random), labels, torch.arange(12))
    spaces = Spaces(
        student.feature_dim,
        4,
        samples=12,
        teacher_dim=teacher.feature_dim,
        teacher_classes=4,
        labels=labels,
        image_size=8,
    )
    objective.setup(spaces, random)
    distiller = Distiller(student, teacher if objective.needs_teacher else None, objective, Threat(), steps=2).train()
    student.model.body[1].eval()  # a frozen batch norm must stay frozen
    modes = [module.training for module in distiller.modules()]
    before = batch.images.clone()
    terms, notes = distiller(batch, (seed, 0, 0))
    assert terms, "forward must return at least one term"
    for name, value in terms.items():
        assert value.ndim == 0, f"term {name!r} must be a scalar, it has shape {tuple(value.shape)}"
        assert torch.isfinite(value), f"term {name!r} is {float(value)}"
    assert not any(value.requires_grad for value in notes.values()), "notes must be detached"
    torch.stack(list(terms.values())).sum().backward()
    gradients = [p.grad for name, p in student.named_parameters() if "fc" not in name]
    assert all(g is not None and torch.isfinite(g).all() for g in gradients), (
        "every weight of the backbone needs a finite gradient"
    )
    assert any(g.abs().sum() > 0 for g in gradients if g is not None), "the gradient of the backbone is zero"
    assert all(p.grad is None for p in teacher.parameters()), "the teacher must receive no gradient"
    assert [module.training for module in distiller.modules()] == modes, (
        "the step must leave every module's mode as it was"
    )
    assert torch.equal(batch.images, before), "the step must not change the images of the batch"
    again = distiller(batch, (seed, 0, 0)).terms
    assert again.keys() == terms.keys(), "the terms must have the same names in every step"
    assert set(objective.options()) == set(type(objective)().options()), (
        "options() must list the constructor's arguments"
    )


def check_attack(attack: Attack, *, seed: int = 0) -> None:
    """Inside the ball and [0, 1], at least as bad as the clean image, repeatable, images and loss untouched."""
    images = torch.rand(6, 3, 8, 8, generator=generator(seed))
    images[0], images[1] = 0.0, 1.0
    goal = _linear_goal(images, seed)
    loss = goal.judge
    before = images.clone()
    result = attack(goal, images, generator=generator(seed))
    assert torch.equal(images, before), "the attack must not change its input"
    assert result.shape == images.shape, "the attack must keep the shape of the images"
    assert not result.requires_grad, "the attack must return detached images"
    assert torch.isfinite(result).all(), "the attack returned NaN or infinite pixels"
    assert result.min() >= 0, "the attack left [0, 1] below"
    assert result.max() <= 1, "the attack left [0, 1] above"
    delta = (result - images).flatten(1)
    size = delta.abs().amax(dim=1) if attack.threat.norm == "linf" else delta.norm(dim=1)
    assert (size <= attack.threat.eps + 1e-6).all(), (
        f"the attack left its ball: {float(size.max())} > {attack.threat.eps}"
    )
    assert (loss(result) >= loss(images)).all(), "the attack returned an image with a lower loss than the clean one"
    assert (loss(result)[2:] > loss(images)[2:]).any(), "the attack never raised the loss"
    again = attack(goal, images, generator=generator(seed))
    assert torch.equal(result, again), "equal generators must give equal images"


def _linear_goal(images: Images, seed: int) -> Goal:
    """The margin of a linear classifier with four classes, which labels every image as it predicts it."""
    weight = torch.randn(4, images[0].numel(), generator=generator(seed, 1))

    def logits(x: Images) -> Logits:
        return x.flatten(1) @ weight.T

    labels = logits(images).argmax(dim=1)
    by_name = {
        "margin": lambda z, rows: losses.margin(z, labels[rows]),
        "ce": lambda z, rows: losses.cross_entropy(z, labels[rows]),
    }
    return Goal(logits, by_name, torch.arange(len(images)), wins=True, classifier=Classifier(logits, labels))


def check_task(task: Task, *, seed: int = 0) -> None:
    """Fits, scores in [0, 1], has a gradient that an attack can use, and a loss whose rise lowers the headline metric."""
    random = generator(seed)
    labels = torch.arange(80) % 4
    try:
        task.loss(torch.randn(80, 16, generator=random), labels)
    except RuntimeError as error:
        assert "fit" in str(error), f"an unfitted task must say 'call fit first', it said {error}"  # noqa: PT017
    else:
        raise AssertionError("an unfitted task must raise RuntimeError")
    detector = isinstance(task, AnomalyDetector)
    # What is anomalous, if anything, are the classes that training has not seen.
    known = labels < (1 if detector and not task.needs_classes else 3 if detector or task.novel_classes else 4)
    features = _fitted(task, labels, known, random)[60:]
    rows, targets = task.cases((~known[60:]).long() if detector else labels[60:], features)
    tested = features[rows]
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
    """Features with the structure of the classes, after the task has learnt from the first 60 of them.

    They are those of images and a small network only where the task learns from images.
    """
    if type(task).fit_on is Task.fit_on:
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


def check_source(source: Source, name: str, splits: Sequence[str] = ("train", "test")) -> None:
    """Takes its name and no other, opens each split the same every time, with labels that have names, and refuses other splits.

    source: of a registered class.  name: of data that it takes, and that is there.  splits: all that this data has.
    """
    assert type(source_of(name)) is type(source), (
        f"dataset({name!r}) asks {source_of(name).name!r}; see takes and breadth"
    )
    assert not source.takes("/no/such/data"), "takes must be False for data that is not there"
    size = dataset(name, splits[0]).image_size
    classes = {dataset(name, split).classes for split in splits}
    assert len(classes) == 1, f"every split must have the same classes in the same order, they have {classes}"
    for split in splits:
        first, again = dataset(name, split), dataset(name, split)
        _check_images(first)
        assert first.fingerprint == again.fingerprint, (
            f"{split!r} must have the same images in the same order every time"
        )
        assert len(dataset(name, f"{split}[:1]")) == 1, f"{split}[:1] must be one image"
        scaled = dataset(name, split, image_size=size + 3)
        assert scaled.pixels(torch.arange(1)).shape[2:] == (size + 3, size + 3), "image_size must be that of the images"
        assert len(scaled) == len(first), "no image may get lost with image_size"
        if first.masks is not None:
            _check_images(scaled)
    try:
        source.open(name, "no-such-split")
    except UnknownNameError as error:
        assert "no-such-split" in str(error), f"the error must name the split, it said {error}"  # noqa: PT017
    else:
        raise AssertionError("a split that is not there must raise UnknownNameError")


def _check_images(data: ImageDataset) -> None:
    """Pixels, labels, names of classes and masks fit to one another."""
    n, side = len(data), data.image_size
    assert n > 0, "a split must have images"
    pixels = data.pixels(torch.arange(n))
    assert pixels.dtype == torch.uint8, f"pixels must be uint8, they are {pixels.dtype}"
    assert pixels.shape == (n, 3, side, side), f"pixels must be {(n, 3, side, side)}, they are {tuple(pixels.shape)}"
    assert len({*data.classes}) == len(data.classes), f"the names of classes must differ, they are {data.classes}"
    if data.labels is not None:
        assert data.labels.dtype == torch.int64, f"labels must be int64, they are {data.labels.dtype}"
        assert data.labels.shape == (n,), f"there must be {n} labels, there are {tuple(data.labels.shape)}"
        assert int(data.labels.min()) >= 0, "labels must not be negative"
        assert int(data.labels.max()) < len(data.classes), "every label needs the name of its class"
    if data.masks is not None:
        assert data.masks.dtype == torch.bool, f"masks must be bool, they are {data.masks.dtype}"
        assert data.masks.shape == (n, side, side), f"masks must be {(n, side, side)}, are {tuple(data.masks.shape)}"
