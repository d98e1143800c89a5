"""The check of the contract of training objectives."""

from __future__ import annotations

import torch

from robustfeat.attacks import Threat
from robustfeat.numerics.random import generator
from robustfeat.numerics.types import Batch
from robustfeat.objectives import Objective, Spaces
from robustfeat.testing.network import small_network
from robustfeat.training.distiller import Distiller


def check_objective(objective: Objective, *, seed: int = 0) -> None:
    """Check that an objective fulfils its contract in one training step with small networks.

    The terms must be finite scalars, with a gradient for the student and none for the teacher. The step must leave the modes of
    all modules and the images of the batch unchanged.

    Args:
        objective: the objective to check; its `setup` is called.
        seed: of the networks, the images and the step.

    Raises:
        AssertionError: if the objective violates the contract.
    """
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
