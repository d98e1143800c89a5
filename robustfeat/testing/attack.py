"""The check of the contract of attacks."""

from __future__ import annotations

import dataclasses

import torch

from robustfeat.attacks import Attack, Classifier, Goal
from robustfeat.numerics import losses
from robustfeat.numerics.random import generator
from robustfeat.numerics.types import Images, Logits


def check_attack(attack: Attack, *, seed: int = 0) -> None:
    """Check that an attack fulfils its contract on a linear classifier.

    The attacked images must lie inside the ball and in [0, 1], and their loss must be at least that of the clean images. The
    attack must be repeatable, leave images and loss unchanged, and refuse invalid images and losses.

    Args:
        attack: the attack to check.
        seed: of the images, the classifier and the attack.

    Raises:
        AssertionError: if the attack violates the contract.
    """
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
    _check_nonsense(attack, goal, images)


def _check_nonsense(attack: Attack, goal: Goal, images: Images) -> None:
    """Check for a ValueError for invalid images, for a loss that is NaN, and for the name of a loss that the goal lacks."""
    broken = images.clone()
    broken[2, 0, 0, 0] = torch.nan
    bad = {"NaN pixels": broken, "pixels above 1": 255 * images, "pixels below 0": images - 1}
    cases: list[tuple[str, Attack, Goal, Images]] = [(what, attack, goal, wrong) for what, wrong in bad.items()]
    nowhere = Goal(goal.forward, {"loss": lambda z, rows: z[:, 0] * torch.nan}, goal.asked, wins=False)
    cases.append(("a loss that is NaN", attack, nowhere, images))
    if hasattr(attack, "climb"):
        lost = dataclasses.replace(attack, climb="no such loss")  # type: ignore[call-arg]
        cases.append(("a loss to climb that the goal does not have", lost, goal, images))
    for what, asked, against, given in cases:
        try:
            asked(against, given, generator=generator(0))
        except ValueError:
            continue
        raise AssertionError(f"the attack must refuse {what} with a ValueError")


def _linear_goal(images: Images, seed: int) -> Goal:
    """Return the margin and cross-entropy of a linear classifier with four classes; its predictions serve as the labels."""
    weight = torch.randn(4, images[0].numel(), generator=generator(seed, 1))

    def logits(x: Images) -> Logits:
        return x.flatten(1) @ weight.T

    labels = logits(images).argmax(dim=1)
    by_name = {
        "margin": lambda z, rows: losses.margin(z, labels[rows]),
        "ce": lambda z, rows: losses.cross_entropy(z, labels[rows]),
    }
    return Goal(logits, by_name, torch.arange(len(images)), wins=True, classifier=Classifier(logits, labels))
