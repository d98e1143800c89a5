"""Linear models, whose smallest adversarial perturbation is known: margin / dual norm of the difference of two rows."""

from __future__ import annotations

import pytest
import torch

from robustfeat.attacks import FGSM, PGD, Attack, Threat
from robustfeat.losses import margin
from robustfeat.random import generator
from robustfeat.types import Eps, Images, PerExample

SHAPE = (3, 4, 4)


def linear_model(classes: int) -> torch.Tensor:
    return torch.randn(classes, 48, generator=generator(classes), dtype=torch.float64).float()


def smallest_perturbation(weight: torch.Tensor, images: Images, labels: torch.Tensor, norm: str) -> torch.Tensor:
    """Exact, for pixels far enough from 0 and 1: min over wrong classes of the margin over the dual norm."""
    logits = images.flatten(1) @ weight.T
    best = torch.full((len(images),), torch.inf)
    for wrong in range(len(weight)):
        difference = weight[labels] - weight[wrong]
        gap = logits.gather(1, labels[:, None]).squeeze(1) - logits[:, wrong]
        dual = difference.abs().sum(1) if norm == "linf" else difference.norm(dim=1)
        best = torch.where(labels == wrong, best, torch.minimum(best, gap / dual.clamp_min(1e-12)))
    return best


# One step of FGSM follows one wrong class, not the nearest: with two classes there is only one.
CASES: list[tuple[Attack, int]] = [
    (PGD(steps=60, restarts=2), 2),
    (PGD(steps=60, start="clean"), 3),
    (PGD(steps=60), 10),
    (FGSM(), 2),
]


@pytest.mark.parametrize(("attack", "classes"), CASES, ids=[f"{attack.name}-{classes}" for attack, classes in CASES])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_reaches_the_optimum_and_not_more(attack: Attack, classes: int, norm: str) -> None:
    weight = linear_model(classes)
    images = 0.5 + 0.02 * torch.randn(8, *SHAPE, generator=generator(1))
    labels = (images.flatten(1) @ weight.T).argmax(1)
    needed = smallest_perturbation(weight, images, labels, norm)
    for i in range(len(images)):
        for factor, expected in ((1.02, True), (0.98, False)):
            threat = Threat(norm, Eps(factor * float(needed[i])))
            one = type(attack)(
                **{**vars(attack), "threat": threat, **({"step_size": None} if "steps" in vars(attack) else {})}
            )
            broken = torch.zeros(1, dtype=torch.bool)
            # A margin to one wrong class at a time: the largest margin alone may follow a farther class.
            for wrong in range(classes):
                if wrong == int(labels[i]):
                    continue

                def loss(x: Images, wrong: int = wrong, label: int = int(labels[i])) -> PerExample:
                    logits = x.flatten(1) @ weight.T
                    return logits[:, wrong] - logits[:, label]

                found = one(loss, images[i : i + 1], generator=generator(2))
                broken |= margin(found.flatten(1) @ weight.T, labels[i : i + 1]) > 0
            assert bool(broken) is expected, f"image {i}, eps {factor} x the smallest perturbation"
