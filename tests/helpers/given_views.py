"""Views of a batch whose outputs are given numbers, so that an objective is a function of features and logits alone."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from plain_losses import Row, Table, table, unit
from torch import Tensor

from robustfeat.backbones.network import Network
from robustfeat.numerics.random import generator
from robustfeat.numerics.types import Batch, Output
from robustfeat.objectives import OBJECTIVES, Objective, Spaces, Views
from robustfeat.objectives.memory import MemoryBank
from robustfeat.testing import small_network

N, CLASSES, STUDENT, TEACHER = 5, 4, 3, 6
LABELS = [0, 1, 2, 3, 0]
# Of the student: features and logits of clean images, the same of attacked ones. Of the teacher the same.
SEEN = ("features", "logits", "attacked features", "attacked logits")


def student_tables() -> list[Table]:
    return [table(N, width, which) for which, width in enumerate((STUDENT, CLASSES, STUDENT, CLASSES))]


def teacher_tables(width: int = TEACHER) -> list[Table]:
    return [table(N, columns, 10 + which) for which, columns in enumerate((width, CLASSES, width, CLASSES))]


def double(values: Table) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def mirrored_tables(width: int, which: int = 50) -> list[Table]:
    """Features and logits where the perturbation is turned round; 52 and 53 are the teacher's."""
    return [table(N, width, which), table(N, CLASSES, which + 1)]


def head_tables(width: int) -> tuple[Table, Row]:
    """Weights and biases of the teacher's head."""
    return table(CLASSES, width, 40), table(1, CLASSES, 41)[0]


@lru_cache(maxsize=3)
def network(seed: int, width: int | None = None) -> Network:
    """width: of a head of given numbers."""
    made = small_network(seed).double().eval()
    if width is not None:
        weight, bias = (torch.tensor(values, dtype=torch.float64) for values in head_tables(width))
        made.model.fc = torch.nn.utils.skip_init(torch.nn.Linear, width, CLASSES, dtype=torch.float64)
        made.load_state_dict({"model.fc.weight": weight, "model.fc.bias": bias}, strict=False)
    return made


def given(student: list[Tensor], teacher: list[Tensor], labels: list[int] | None = LABELS) -> Views:
    """student, teacher: in the order of SEEN."""
    n = len(student[0])
    y = None if labels is None else torch.tensor(labels[:n])
    views = Views(
        network(0), network(1, teacher[0].shape[1]), Batch(torch.zeros(n, 3, 8, 8), y, torch.arange(n)), generator(7)
    )
    views.attacked = torch.ones(n, 3, 8, 8)
    views.student_clean, views.student_attacked = Output(*student[:2]), Output(*student[2:])
    views.teacher_clean, views.teacher_attacked = Output(*teacher[:2]), Output(*teacher[2:])
    views.student_mirrored = Output(*(double(v) for v in mirrored_tables(len(student[0][0]))))
    views.teacher_mirrored = Output(*(double(v) for v in mirrored_tables(len(teacher[0][0]), 52)))
    return views


def ready(name: str, teacher_dim: int = TEACHER, labels: list[int] | None = LABELS, **options: Any) -> Objective:
    """An objective in float64, its trained layers and memories filled with given numbers."""
    objective = OBJECTIVES[name](**options)
    y = None if labels is None else torch.tensor(labels)
    objective.setup(Spaces(STUDENT, CLASSES, N, teacher_dim, CLASSES, y), generator(5))
    objective.double()
    for which, weight in enumerate(objective.parameters()):
        flat = double(table(1, weight.numel(), 20 + which))
        weight.data.copy_(flat.view(weight.shape))
    for which, bank in enumerate(module for module in objective.modules() if isinstance(module, MemoryBank)):
        bank.vectors.copy_(double([unit(row) for row in table(*bank.vectors.shape, 30 + which)]))
    return objective
