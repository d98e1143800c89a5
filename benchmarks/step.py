"""One training step of `Distiller` against the same arithmetic written by hand in plain PyTorch.

GACD with the teacher's head as inner loss, two inner steps, ResNet-18 student and teacher with the small stem, batch 64 of
32x32 images, SGD.
"""

from __future__ import annotations

import math

import torch
from side_by_side import ratio
from torch.nn import functional as F

from robustfeat.attacks import Threat
from robustfeat.backbones.architecture import Architecture
from robustfeat.backbones.network import Network, new_network
from robustfeat.numerics.random import generator
from robustfeat.numerics.types import Batch
from robustfeat.objectives import GACD, Spaces
from robustfeat.training.distiller import Distiller

N, EPS, STEPS, TAU = 64, 8 / 255, 2, 0.1


def networks() -> tuple[Network, Network]:
    architecture = Architecture("resnet18", "small")
    student, teacher = new_network(architecture, 0), new_network(architecture, 1)
    return student.to(memory_format=torch.channels_last), teacher.to(memory_format=torch.channels_last)


def one_step(distiller: Distiller, optimizer: torch.optim.Optimizer, batch: Batch) -> float:
    """Loss, gradient, update."""
    terms, _ = distiller(batch, (0, 0, 0))
    loss = torch.stack(list(terms.values())).sum()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


class Ours:
    def __init__(self, batch: Batch) -> None:
        student, teacher = networks()
        objective = GACD(tau=TAU)
        objective.setup(Spaces(512, 10, N, 512, 10, batch.labels), generator(0))
        self.batch = batch
        self.distiller = Distiller(student, teacher, objective, Threat("linf", EPS), STEPS).train()
        self.optimizer = torch.optim.SGD(student.parameters(), lr=0.01, momentum=0.9)

    def __call__(self) -> float:
        return one_step(self.distiller, self.optimizer, self.batch)


class Plain:
    """No abstractions: timm models, tensors, a loop."""

    def __init__(self, batch: Batch) -> None:
        student, teacher = networks()
        self.student, self.teacher = student.model.train(), teacher.model.eval().requires_grad_(False)
        self.mean, self.std = student.mean, student.std
        self.batch = batch
        self.optimizer = torch.optim.SGD(self.student.parameters(), lr=0.01, momentum=0.9)
        self.c = self.radius = 0.0

    def features(self, model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        return model.forward_head(model.forward_features((x - self.mean) / self.std), pre_logits=True)

    def __call__(self) -> float:
        x, y = self.batch.images, self.batch.labels
        with torch.no_grad():
            ft = self.features(self.teacher, x)
            t, logits = F.normalize(ft, dim=1), self.teacher.fc(ft)
            self.radius = self.radius or float(ft.norm(dim=1).mean())
        self.student.eval()
        adv = (x + torch.empty_like(x).uniform_(-EPS, EPS)).clamp(0, 1)
        for _ in range(STEPS):
            adv.requires_grad_()
            s = F.normalize(self.features(self.student, adv), dim=1)
            (g,) = torch.autograd.grad(F.cross_entropy(self.teacher.fc(self.radius * s), y, reduction="sum"), adv)
            adv = (x + (adv.detach() + min(2.5 / STEPS, 1.25) * EPS * g.sign() - x).clamp(-EPS, EPS)).clamp(0, 1)
        self.student.train()
        s = F.normalize(self.features(self.student, adv), dim=1)
        scores = t @ s.T / TAU
        self.c = self.c or float(scores.detach().exp().mean())
        a = scores - math.log(self.c * (N - 1))
        each = F.softplus(-a.diagonal()) + F.softplus(a).fill_diagonal_(0).sum(1)
        w = logits.softmax(1).gather(1, y[:, None]).squeeze(1)
        loss = (w * each).sum() / w.sum()
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()


if __name__ == "__main__":
    random = generator(0)
    images = torch.rand(N, 3, 32, 32, generator=random).to(memory_format=torch.channels_last)
    batch = Batch(images, torch.arange(N) % 10, torch.arange(N))
    ours, plain = Ours(batch), Plain(batch)
    print(f"first losses, from different random starts of the attack: {ours():.4f} and {plain():.4f}")
    a, b, r = ratio(ours, plain)
    print(f"Distiller {a * 1000:.0f} ms, plain PyTorch {b * 1000:.0f} ms per step: {100 * (r - 1):+.1f} %")
