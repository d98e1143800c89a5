"""Signs that an attack failed rather than that the defence held: gradient masking, randomness, attacks that stop too early.

Carlini et al. 2019 ("On evaluating adversarial robustness"), Croce & Hein 2020, Pintor et al. 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from robustfeat.attacks.base import Attack
from robustfeat.attacks.effort import Effort
from robustfeat.attacks.flag import Flag
from robustfeat.attacks.goal import Goal
from robustfeat.attacks.noise import Noise
from robustfeat.attacks.pgd import PGD
from robustfeat.attacks.square import Square
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.types import Images, PerExample
from robustfeat.runtime.progress import Progress

QUERIES = 300
SAMPLES = 20
STEPS = 20
MOST = 16  # images: of more the numbers are hardly surer
SHARE = (
    0.2  # of the passes of the attack: a quarter of its time, as passes of a few images take longer than those of many
)
PRICE = SAMPLES + QUERIES + 3 * (2 * STEPS + 2 * STEPS) + 12
"""The largest cost of all checks of one image, in forward passes; a backward pass counts as two."""


@dataclass(frozen=True)
class Outcome:
    """The input of the checks: a goal at some images, and the result of an attack on them.

    Args:
        clean: the deciding loss (n,) before the attack.
        attacked: the deciding loss (n,) after the attack.
        effort: the effort of the attack.
    """

    goal: Goal
    images: Images
    attack: Attack
    clean: PerExample
    attacked: PerExample
    effort: Effort
    generator: torch.Generator

    def under(self, attack: Attack, images: Images | None = None) -> PerExample:
        """Return the deciding loss under another attack, whose effort is not counted."""
        goal = self.goal.uncounted()
        return goal.judge(attack(goal, self.images if images is None else images, generator=self.generator))

    def held(self, values: PerExample) -> Tensor:
        """Return which images withstood an attack, where success is defined."""
        return values <= 0


def affordable(effort: Effort, most: int = MOST, share: float = SHARE) -> int:
    """Return how many images can be checked for a share of the passes that an attack took: at most `most`, and 0 instead of 1.

    The result of a search on a single image is not informative.
    """
    images = int(share * (effort.forwards + 2 * effort.backwards) / PRICE)
    return min(images, most) if images > 1 else 0


def examine(outcome: Outcome, *, name: str = "checks", quiet: bool = True) -> list[Flag]:
    """Run all checks and return their flags, none for an honest model. `name` labels the progress bar."""
    flags = []
    with Progress(name, len(CHECKS), "checks", quiet=quiet) as bar:
        for check in CHECKS:
            flags.append(check(outcome))
            bar.advance(1)
    return [flag for flag in flags if flag is not None]


def zero_gradients(outcome: Outcome, limit: float = 0.02) -> Flag | None:
    """Flag a step in which too many images had a gradient of exactly 0."""
    share = outcome.effort.zero_gradients
    text = "of the images had a gradient of exactly 0 in some step: the attack could not move them"
    return Flag("zero gradients", share, limit, text) if share > limit else None


def still_rising(outcome: Outcome, limit: float = 0.25) -> Flag | None:
    """Flag a loss that still rose in the last quarter of the steps."""
    share = outcome.effort.rising
    text = "of the loss was gained in the last quarter of the steps: give the attack more of them"
    return Flag("still rising", share, limit, text) if share > limit else None


def random_forward(outcome: Outcome, limit: float = 1e-4) -> Flag | None:
    """Flag a model whose forward passes differ on the same images."""
    first, second = outcome.goal.judge(outcome.images), outcome.goal.judge(outcome.images)
    gap = float(((first - second).abs() / (1 + first.abs())).max())
    text = "is how far two evaluations of the same images differ: average over the randomness (EOT) to attack it"
    return Flag("random forward passes", gap, limit, text) if not gap <= limit else None


def training_mode(outcome: Outcome) -> Flag | None:
    """Flag modules that are in training mode."""
    forward = outcome.goal.forward
    training = sum(module.training for module in forward.modules()) if isinstance(forward, nn.Module) else 0
    return (
        Flag("training mode", training, 0, "modules are in training mode while they are measured") if training else None
    )


def output_range(outcome: Outcome) -> Flag | None:
    """Flag a classifier that returns probabilities instead of logits."""
    if outcome.goal.classifier is None:
        return None
    with torch.no_grad():
        logits = outcome.goal.classifier.logits(outcome.images).float()
    sums = (logits.sum(dim=1) - 1).abs().max()
    if not bool((logits >= 0).all() and (logits <= 1).all() and sums < 1e-3):
        return None
    return Flag(
        "output range", float(logits.max()), 1, "is the largest logit, and they sum to 1: give logits, not softmax"
    )


def half_precision(outcome: Outcome) -> Flag | None:
    """Flag features of fewer than 32 bits."""
    with torch.no_grad():
        seen = outcome.goal.forward(outcome.images[:2])
    bits = torch.finfo(seen.dtype).bits if isinstance(seen, Tensor) and seen.is_floating_point() else 32
    text = "bits only: small gradients vanish and equal scores hide attacks; evaluate in float32"
    return Flag("float16", bits, 32, text) if bits < 32 else None


def inner_loop(outcome: Outcome) -> Flag | None:
    """Flag gradients that are taken inside the forward pass."""
    with _counting_gradients() as count, torch.enable_grad():
        outcome.goal.forward(outcome.images[:2])
    text = "gradients are taken inside the forward pass: attack the inner optimisation as well (BPDA, unrolling)"
    return Flag("inner optimisation", count[0], 0, text) if count[0] else None


def wrong_gradient(outcome: Outcome, limit: float = 0.5) -> Flag | None:
    """Flag a gradient along which a small step does not change the loss by about its length times the slope."""
    images = 0.05 + 0.9 * outcome.images  # so that a step to either side stays in [0, 1]
    _, gradient = outcome.goal.slope(images)
    wide = (-1, *[1] * (images.ndim - 1))
    largest = gradient.abs().flatten(1).amax(dim=1).clamp_min(torch.finfo(gradient.dtype).tiny)
    direction = gradient / largest.view(wide)  # squares of tiny gradients would be 0
    length = direction.flatten(1).norm(dim=1)
    direction, length = direction / length.clamp_min(1).view(wide), length * largest
    size = 0.02
    up, down = (outcome.goal.judge(images + sign * size * direction) for sign in (1, -1))
    change = (up - down) / (2 * size)
    gap = float(((change - length).abs() / torch.maximum(change.abs(), length).clamp_min(1e-12)).median())
    text = "is the relative gap between the gradient and the change of the loss along it: the gradient misleads"
    return Flag("wrong gradient", gap, limit, text) if not gap <= limit else None


def noise_is_stronger(outcome: Outcome) -> Flag | None:
    """Flag an attack that is weaker than random perturbations."""
    limit = _a_few(outcome)
    share = _stronger(outcome, outcome.under(Noise(outcome.attack.threat, samples=SAMPLES)))
    text = f"of the images are moved further by the worst of {SAMPLES} random perturbations than by the attack"
    return Flag("noise is stronger", share, limit, text) if share > limit else None


def black_box_is_stronger(outcome: Outcome) -> Flag | None:
    """Flag an attack that is weaker than Square, which uses no gradients."""
    limit = _a_few(outcome)
    share = _stronger(outcome, outcome.under(Square(outcome.attack.threat, queries=QUERIES)))
    text = f"of the images are moved further by {QUERIES} queries of Square, without gradients, than by the attack"
    return Flag("black box is stronger", share, limit, text) if share > limit else None


def not_monotone(outcome: Outcome) -> Flag | None:
    """Flag a loss that is lower in a larger ball, although that ball contains the smaller one."""
    threat, limit = outcome.attack.threat, _a_few(outcome)
    small, large = (outcome.under(PGD(threat.times(factor), steps=STEPS)) for factor in (0.5, 2))
    if outcome.goal.wins:
        drop = float((outcome.held(large).float() - outcome.held(small).float()).mean())
    else:
        drop = float((large < small).float().mean()) if float((large - small).mean()) < 0 else 0.0
    text = "more of the images withstand twice eps than half of it"
    return Flag("not monotone in eps", drop, limit, text) if drop > limit else None


def survives_everything(outcome: Outcome) -> Flag | None:
    """Flag images that withstand eps = 1, with which any image can become any other."""
    limit = _a_few(outcome)
    if not outcome.goal.wins or outcome.attack.threat.norm != "linf":
        return None
    share = float(
        outcome.held(outcome.under(PGD(replace(outcome.attack.threat, eps=Eps(1.0)), steps=2 * STEPS))).float().mean()
    )
    text = "of the images withstand eps = 1, where every image is within reach"
    return Flag("not 0 at eps = 1", share, limit, text) if share > limit else None


CHECKS: tuple[Callable[[Outcome], Flag | None], ...] = (
    training_mode,
    half_precision,
    output_range,
    random_forward,
    inner_loop,
    wrong_gradient,
    zero_gradients,
    still_rising,
    noise_is_stronger,
    black_box_is_stronger,
    not_monotone,
    survives_everything,
)


def _a_few(outcome: Outcome) -> float:
    """Return the share of the images that chance may account for: one of a handful, 2 % of many."""
    return 0.02 + 1.5 / len(outcome.images)


def _stronger(outcome: Outcome, other: PerExample) -> float:
    """Return the share of images on which another attack is stronger than this one."""
    if outcome.goal.wins:
        return float((outcome.held(outcome.attacked) & ~outcome.held(other)).float().mean())
    gain = (outcome.attacked - outcome.clean).clamp_min(0)
    return float((other - outcome.attacked > 0.1 * gain + 1e-6).float().mean())


@contextmanager
def _counting_gradients() -> Iterator[list[int]]:
    """Count the gradients that are taken inside the context."""
    count = [0]
    grad, backward = torch.autograd.grad, torch.autograd.backward

    def counted(function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            count[0] += 1
            return function(*arguments, **options)

        return call

    torch.autograd.grad, torch.autograd.backward = counted(grad), counted(backward)  # type: ignore[assignment]
    try:
        yield count
    finally:
        torch.autograd.grad, torch.autograd.backward = grad, backward
