"""The linear heads that a network without a trained head may get, and the selection among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from robustfeat.attacks import Threat
from robustfeat.backbones.modes import evaluating
from robustfeat.backbones.network import Network
from robustfeat.data import ImageDataset
from robustfeat.numerics import logistic
from robustfeat.numerics.logistic import Linear
from robustfeat.numerics.random import Stream, generator
from robustfeat.numerics.scale import mean_square
from robustfeat.numerics.types import Features
from robustfeat.training import heldout
from robustfeat.training.adversarial_linear import fit_attacked
from robustfeat.training.heldout import Accuracy

IMAGES = 5000
BATCH = 256
RIDGE = 0.01
STEPS = 3  # of the attack on training images, for the head that learns from attacked ones

Kind = Literal["trained", "teacher", "linear", "adversarial"]


def fit_head(network: Network, data: ImageDataset, *, seed: int = 0) -> None:
    """Replace the network's head by logistic regression on its features of `data` (clean, not augmented)."""
    _put(network, _logistic(network, data, _features(network, data), seed))


@dataclass(frozen=True)
class Heads:
    """The linear heads that a trained network may get, and the selection among them on held-out images.

    "teacher" is the teacher's frozen head; if the student's features are not in the teacher's space, they first pass through
    the linear map that brings those of clean images closest to the teacher's. "linear" is fitted on clean images ("SLF"),
    "adversarial" on attacked ones ("ALF"); "trained" is the network's own head.

    Args:
        wanted: the requested kind, or "best".
        trained: whether training has produced a head; then "best" keeps it.
        robust: whether robust accuracy decides before clean accuracy; otherwise clean accuracy decides first.
        teacher: a teacher with a head for the same classes; None if there is none.
        in_teachers_space: whether the teacher's head fits the features without a map.
        data: the labelled images; heads are fitted on the first 5,000 of them.
        held_out: the images that decide.
        threat: the threat model of training.
        eval_steps: PGD steps on held-out images.
        batch_size: images per batch.
        seed: seed of all random numbers.
        quiet: whether to hide the progress bar.

    Raises:
        ValueError: if the teacher's head is requested and there is none.
    """

    keys: ClassVar[tuple[str, str]] = ("held_out_clean", "held_out_robust")
    measured: ClassVar[str] = "accuracy"

    wanted: Kind | Literal["best"]
    trained: bool
    robust: bool
    teacher: Network | None
    in_teachers_space: bool
    data: ImageDataset
    held_out: ImageDataset
    threat: Threat
    eval_steps: int
    batch_size: int
    seed: int
    quiet: bool = False

    def __post_init__(self) -> None:
        if self.wanted == "teacher" and self.teacher is None:
            raise ValueError(
                "head='teacher' needs a teacher with a head for the classes of the data; choose head='best' or 'linear'"
            )

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The heads that are compared, the cheapest first.

        The adversarial one takes minutes. It is compared only if the teacher's head does not fit without a map.
        """
        if self.wanted != "best":
            return (self.wanted,)
        if self.trained:
            return ("trained",)
        exact = self.teacher is not None and self.in_teachers_space
        fitted: tuple[Kind, ...] = ("linear", "adversarial") if self.robust and not exact else ("linear",)
        return fitted if self.teacher is None else ("teacher", *fitted)

    @property
    def meanwhile(self) -> Kind:
        """The kind of head with which the network is evaluated during training; it does not take minutes to fit."""
        return "trained" if self.trained else "linear" if self.kinds[0] == "adversarial" else self.kinds[0]

    def put(self, network: Network, kind: Kind) -> None:
        """Give the network a head of this kind."""
        makers: dict[Kind, Callable[[Network], Linear]] = {
            "trained": linear_of,
            "teacher": self._taught,
            "linear": self._clean,
            "adversarial": self._attacked,
        }
        _put(network, makers[kind](network))

    def choose(self, network: Network) -> dict[Kind, Accuracy]:
        """Give the network the head of `kinds` that is best on held-out images.

        Returns:
            The accuracy of each head, the best first.
        """
        found: dict[Kind, tuple[Accuracy, Linear]] = {}
        for kind in self.kinds:
            self.put(network, kind)
            found[kind] = self.measure(network), linear_of(network)
        ranked = sorted(found, key=lambda kind: self.rank(found[kind][0]), reverse=True)
        _put(network, found[ranked[0]][1])
        return {kind: found[kind][0] for kind in ranked}

    def measure(self, network: Network) -> Accuracy:
        """Measure clean and robust accuracy of the network with its current head on the held-out images."""
        return heldout.measure(
            network, self.held_out, self.threat, self.eval_steps, batch_size=self.batch_size, seed=self.seed
        )

    def rank(self, accuracy: tuple[float, float]) -> tuple[float, float]:
        """Return the key by which heads are compared, from clean and robust accuracy; larger is better."""
        clean, robust = accuracy
        return (robust, clean) if self.robust else (clean, robust)

    def _taught(self, network: Network) -> Linear:
        assert self.teacher is not None
        head = linear_of(self.teacher)
        if self.in_teachers_space:
            return head
        data = self.data.head(IMAGES)
        to_teacher = closest(_features(network, data), _features(self.teacher, data))
        return Linear(head.weight @ to_teacher.weight, head.bias + head.weight @ to_teacher.bias)

    def _clean(self, network: Network) -> Linear:
        data = self.data.head(IMAGES)
        return _logistic(network, data, _features(network, data), self.seed)

    def _attacked(self, network: Network) -> Linear:
        data = self.data.head(IMAGES)
        features = _features(network, data)
        with evaluating(network):
            return fit_attacked(
                network.features,
                data,
                _logistic(network, data, features, self.seed),
                self.threat,
                mean_square(features),
                steps=STEPS,
                seed=self.seed,
                quiet=self.quiet,
            )


@torch.no_grad()
def _features(network: Network, data: ImageDataset) -> Features:
    """Compute features of the clean images, on the network's device."""
    device = network.mean.device
    with evaluating(network):
        return torch.cat([network.features(b.images.to(device)) for b in data.batches(BATCH)])


def _logistic(network: Network, data: ImageDataset, features: Features, seed: int) -> Linear:
    """Fit the clean linear probe, on the network's device."""
    labels, classes = data.require_labels(), network.head.out_features
    linear, _ = logistic.fit_held_out(features.cpu(), labels, classes, generator(seed, Stream.HEAD))
    return Linear(*(values.to(network.mean.device) for values in linear))


@torch.no_grad()
def _put(network: Network, linear: Linear) -> None:
    network.head.weight.copy_(linear.weight)
    if network.head.bias is not None:
        network.head.bias.copy_(linear.bias)


def linear_of(network: Network) -> Linear:
    """Return a copy of a network's head; a missing bias is 0."""
    weight, bias = network.head.weight.detach(), network.head.bias
    return Linear(weight.clone(), weight.new_zeros(len(weight)) if bias is None else bias.detach().clone())


def closest(features: Features, targets: Features) -> Linear:
    """Fit the linear map W f + b that brings features closest to targets in the mean square (ridge regression).

    The penalty on W is 0.01 of the mean variance of a feature: without it, directions that hardly vary among these images would
    be stretched, and an attacker could use them.

    Args:
        features: (n, d).
        targets: (n, e).
    """
    x, y = features.double(), targets.double()
    centre, aim = x.mean(dim=0), y.mean(dim=0)
    x, y = x - centre, y - aim
    covariance = x.T @ x / len(x)
    penalty = RIDGE * covariance.diagonal().mean().clamp_min(1e-30)
    weight = torch.linalg.solve(covariance + penalty * torch.eye(len(covariance)).to(x), x.T @ y / len(x)).T
    return Linear(weight.to(features.dtype), (aim - weight @ centre).to(features.dtype))
