"""Images per second of one training step of each registered objective, on the same student, in turns; and of `ard` and
`rslad` against the same arithmetic written by hand in plain PyTorch.

Student and teacher are one architecture with other weights; 32x32 images, two inner steps, SGD. CRD's memory holds 2,000
samples, so that it draws fewer negatives than at full size (gacd_bank.py measures those).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from side_by_side import ratio
from step import one_step
from torch.nn import functional as F

from robustfeat.attacks import Threat
from robustfeat.backbones.architecture import Architecture
from robustfeat.backbones.network import Network, new_network
from robustfeat.numerics.random import generator
from robustfeat.numerics.types import Batch
from robustfeat.objectives import OBJECTIVES, Spaces
from robustfeat.training.distiller import Distiller

EPS, STEPS, SAMPLES = 8 / 255, 2, 2000


def networks(name: str) -> tuple[Network, Network]:
    architecture = Architecture(name, "timm" if name.startswith("cnn") else "small")
    student, teacher = new_network(architecture, 0), new_network(architecture, 1)
    return student.to(memory_format=torch.channels_last), teacher.to(memory_format=torch.channels_last)


class Ours:
    def __init__(self, objective: str, student: str, batch: Batch) -> None:
        network, teacher = networks(student)
        method = OBJECTIVES[objective]()
        width, labels = network.feature_dim, torch.arange(SAMPLES) % 10
        method.setup(Spaces(width, 10, SAMPLES, width, 10, labels), generator(0))
        self.batch = batch
        self.distiller = Distiller(
            network, teacher if method.needs_teacher else None, method, Threat("linf", EPS), STEPS
        ).train()
        trained = [p for p in self.distiller.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(trained, lr=0.01, momentum=0.9)

    def __call__(self) -> float:
        loss = one_step(self.distiller, self.optimizer, self.batch)
        self.distiller.objective.after_step()
        return loss


class Plain:
    """No abstractions: two timm models, tensors, a loop; `attacked` and `lowered` are the two formulas."""

    def __init__(self, student: str, batch: Batch) -> None:
        network, teacher = networks(student)
        self.student, self.teacher = network.model.train(), teacher.model.eval().requires_grad_(False)
        self.mean, self.std = network.mean, network.std
        self.batch = batch
        self.optimizer = torch.optim.SGD(self.student.parameters(), lr=0.01, momentum=0.9)

    def logits(self, model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        return model((x - self.mean) / self.std)

    def attack(self, raised: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        x = self.batch.images
        self.student.eval()
        adv = (x + torch.empty_like(x).uniform_(-EPS, EPS)).clamp(0, 1)
        for _ in range(STEPS):
            adv.requires_grad_()
            (g,) = torch.autograd.grad(raised(self.logits(self.student, adv)), adv)
            adv = (x + (adv.detach() + min(2.5 / STEPS, 1.25) * EPS * g.sign() - x).clamp(-EPS, EPS)).clamp(0, 1)
        self.student.train()
        return adv

    def step(self, loss: torch.Tensor) -> float:
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()


class PlainARD(Plain):
    def __call__(self) -> float:
        adv = self.attack(lambda logits: F.cross_entropy(logits, self.batch.labels, reduction="sum"))
        with torch.no_grad():
            target = F.softmax(self.logits(self.teacher, self.batch.images) / 30, dim=1)
        prediction = F.log_softmax(self.logits(self.student, adv) / 30, dim=1)
        return self.step(900 * F.kl_div(prediction, target, reduction="batchmean"))


class PlainRSLAD(Plain):
    def __call__(self) -> float:
        with torch.no_grad():
            target = F.softmax(self.logits(self.teacher, self.batch.images), dim=1)

        def kl(logits: torch.Tensor, reduction: str = "batchmean") -> torch.Tensor:
            return F.kl_div(F.log_softmax(logits, dim=1), target, reduction=reduction)

        adv = self.attack(lambda logits: kl(logits, "sum"))
        attacked, clean = self.logits(self.student, adv), self.logits(self.student, self.batch.images)
        return self.step(5 / 6 * kl(attacked) + 1 / 6 * kl(clean))


def in_turns(steps: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each, one of each per round, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 1):
        for name, step in steps.items():
            begin = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - begin)
    return {name: statistics.median(times[1:]) for name, times in seconds.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--student", default="cnn_small")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    n = arguments.batch
    images = torch.rand(n, 3, 32, 32, generator=generator(0)).to(memory_format=torch.channels_last)
    batch = Batch(images, torch.arange(n) % 10, torch.arange(n))
    for objective, plain in (("ard", PlainARD), ("rslad", PlainRSLAD)):
        ours, hand = Ours(objective, arguments.student, batch), plain(arguments.student, batch)
        print(f"{objective}: first losses, from different random starts of the attack: {ours():.4f} and {hand():.4f}")
        a, b, r = ratio(ours, hand, arguments.rounds)
        print(
            f"{objective}: Distiller {a * 1000:.0f} ms, plain PyTorch {b * 1000:.0f} ms per step: {100 * (r - 1):+.1f} %"
        )
    found = in_turns({name: Ours(name, arguments.student, batch) for name in OBJECTIVES}, arguments.rounds)
    for name, seconds in sorted(found.items(), key=lambda item: item[1]):
        print(f"{name:8} {n / seconds:7.0f} images/s, {found['natural'] / seconds:.2f} of natural")
