"""GACD that is set up, and one batch for it."""

from __future__ import annotations

import torch
from torch import nn

from robustfeat.numerics.random import generator
from robustfeat.numerics.types import Batch
from robustfeat.objectives import GACD, Spaces, Views
from robustfeat.testing import small_network

N, CLASSES = 8, 4


def make(objective: GACD, *, labels: bool = True, width: int | None = None) -> tuple[GACD, Views]:
    """An objective that is set up, and the views of one batch without an attack."""
    student, teacher = small_network(0, "cnn_small" if width is None else "cnn_tiny"), small_network(1, "cnn_small")
    if width is not None:
        with torch.random.fork_rng(devices=[]):
            student.model.body[-3] = nn.Conv2d(64, width, 3, padding=1, stride=2, bias=False)
            student.model.body[-2] = nn.BatchNorm2d(width)
            student.model.fc, student.feature_dim = nn.Linear(width, CLASSES), width
    y = torch.arange(N) % CLASSES if labels else None
    spaces = Spaces(student.feature_dim, CLASSES, N, teacher.feature_dim, CLASSES, y)
    objective.setup(spaces, generator(5))
    images = torch.rand(N, 3, 8, 8, generator=generator(6))
    return objective, Views(student.eval(), teacher.eval(), Batch(images, y, torch.arange(N)), generator(7))
