"""Under mixed precision losses are float32 and networks are not, the teacher's neither."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from robustfeat.attacks import Threat
from robustfeat.numerics.random import generator
from robustfeat.numerics.types import Batch
from robustfeat.objectives import OBJECTIVES, Spaces
from robustfeat.testing import small_network
from robustfeat.training.distiller import Distiller

N, CLASSES = 12, 4
DEFAULTS: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in OBJECTIVES]
VIEWS: list[dict[str, Any]] = [
    {"view": "clean"},
    {"view": "teacher_adv"},
    {"weight_on": "attacked"},
    {"bank": 4},
    {"igdm": 1.0},
]


@pytest.mark.parametrize(
    ("name", "options"), DEFAULTS + [("gacd", options) for options in VIEWS] + [("rslad", {"igdm": 1.0})]
)
def test_networks_run_in_the_lower_precision_and_losses_do_not(name: str, options: dict[str, Any]) -> None:
    objective, student, teacher = OBJECTIVES[name](**options), small_network(0), small_network(1)
    labels = torch.arange(N) % CLASSES
    spaces = Spaces(student.feature_dim, CLASSES, N, teacher.feature_dim, CLASSES, labels, image_size=8)
    objective.setup(spaces, generator(0))
    seen: dict[str, set[torch.dtype]] = {"student": set(), "teacher": set()}
    for role, network in (("student", student), ("teacher", teacher)):

        def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor, role: str = role) -> None:
            seen[role].add(output.dtype)

        next(module for module in network.modules() if isinstance(module, nn.Conv2d)).register_forward_hook(note)
    distiller = Distiller(student, teacher, objective, Threat(), steps=1).train()
    with torch.autocast("cpu", torch.bfloat16):
        images = torch.rand(N, 3, 8, 8, generator=generator(2))
        found = distiller(Batch(images, labels, torch.arange(N)), (0, 0, 0), 1.0)
    assert seen["student"] == {torch.bfloat16}
    assert seen["teacher"] == ({torch.bfloat16} if objective.needs_teacher else set())
    assert {value.dtype for value in found.terms.values()} == {torch.float32}
