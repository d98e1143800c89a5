"""AutoAttack through pyautoattack: what the reference does in silence is refused or undone."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from linear_model import Linear
from torch import Tensor, nn

from robustfeat.attacks import APGD, AutoAttack, Classifier, Goal, Threat, Worst
from robustfeat.numerics import losses
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import generator
from robustfeat.testing import small_network

SHAPE = (3, 8, 8)


def goal_of(logits: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> Goal:
    by_name = {"margin": lambda z, rows: losses.margin(z, labels[rows])}
    return Goal(logits, by_name, torch.arange(len(images)), wins=True, classifier=Classifier(logits, labels))


@pytest.mark.parametrize(("classes", "norm"), [(2, "linf"), (3, "l2"), (10, "linf")])
def test_it_finds_the_closed_form_optimum(classes: int, norm: str) -> None:
    model = Linear(classes, SHAPE, 1)
    needed = model.needed(norm)
    for factor, expected in ((1.02, True), (0.98, False)):
        attack = AutoAttack(Threat(norm, Eps(factor * float(needed))))
        found = attack(goal_of(model, model.images, model.labels), model.images, generator=generator(0))
        assert bool(model.won(found)) is expected


def test_the_configuration_names_the_version() -> None:
    expected = "AutoAttack(threat=Threat(norm='linf', eps=8/255), batch_size=250, pyautoattack='0.2.0')"
    assert AutoAttack().configuration == expected


def test_images_in_channels_last() -> None:
    """Its targeted attack fails on the layout that networks are fastest with."""
    network = small_network(0).eval().to(memory_format=torch.channels_last)
    images = torch.rand(4, *SHAPE, generator=generator(0)).contiguous(memory_format=torch.channels_last)
    labels = network(images).logits.argmax(1)
    goal = goal_of(lambda x: network(x).logits, images, labels)
    found = AutoAttack(Threat("linf", Eps(0.001)))(goal, images, generator=generator(1))
    assert found.shape == images.shape
    assert (found - images).abs().max() <= 0.001 + 1e-6


def test_global_state_is_given_back() -> None:
    model = Linear(4, SHAPE, 2)

    def trace(*_: object) -> None: ...

    before, before_numpy = torch.get_rng_state(), np.random.get_state()[1].copy()
    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        AutoAttack(Threat("linf", 0.05))(
            goal_of(model, model.images, model.labels), model.images, generator=generator(0)
        )
        assert sys.gettrace() is trace
    finally:
        sys.settrace(previous)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], before_numpy)


def test_what_it_can_not_judge_is_refused() -> None:
    images, labels = torch.rand(2, *SHAPE, generator=generator(0)), torch.tensor([0, 1])
    network = small_network(0).train()

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor) -> Tensor:
            return self.network(x).logits

    def attack(logits: Callable[[Tensor], Tensor], x: Tensor = images) -> Tensor:
        by_name = {"loss": lambda z, rows: -torch.ones(len(rows))}
        goal = Goal(lambda x: x, by_name, torch.arange(2), wins=True, classifier=Classifier(logits, labels))
        return AutoAttack()(goal, x)

    with pytest.raises(ValueError, match="training mode"):
        attack(Logits())
    with pytest.raises(ValueError, match="NaN"):
        attack(lambda x: x.flatten(1)[:, :4] * torch.nan)
    for bad in (255 * images, images - 1, images * torch.nan):
        with pytest.raises(ValueError, match=r"in \[0, 1\]"):
            attack(Logits().eval(), bad)
    with pytest.raises(ValueError, match="classifiers only"):
        AutoAttack()(lambda x: x.flatten(1).sum(1), images)
    with pytest.raises(ValueError, match="one eps for all"):
        AutoAttack()(goal_of(Logits().eval(), images, labels), images, eps=torch.tensor([0.1, 0.2]))


def test_the_worst_of_several_hands_on_survivors() -> None:
    model = Linear(10, SHAPE, 8)
    threat = Threat("linf", float(model.needed("linf").median()) * 1.02)
    goal = model.goal()
    found = Worst(threat, (APGD(threat, steps=20, climb="margin-*"), AutoAttack(threat)))(
        goal, model.images, generator=generator(0)
    )
    assert torch.equal(model.won(found), model.needed("linf") <= threat.eps)
    with pytest.raises(ValueError, match="make them equal"):
        Worst(threat, (APGD(Threat("linf", 0.5)),))
    with pytest.raises(ValueError, match="at least one"):
        Worst(threat, ())
