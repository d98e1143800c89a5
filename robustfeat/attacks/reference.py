"""AutoAttack as published (Croce & Hein 2020), run by pyautoattack: the number that robustness papers report."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from typing import ClassVar

import torch
from torch import nn

from robustfeat.attacks import ATTACKS
from robustfeat.attacks.base import Attack, Strongest
from robustfeat.attacks.goal import Goal
from robustfeat.attacks.threat import Ball
from robustfeat.numerics.types import Images, Logits
from robustfeat.runtime.needed import needed

NORMS = {"linf": "Linf", "l2": "L2"}


@ATTACKS.register("autoattack")
@dataclass(frozen=True, repr=False)
class AutoAttack(Attack):
    """APGD-CE, APGD-T, FAB-T and Square with 5,000 queries, each on the survivors of those before ("standard").

    Its targeted parts need at least four classes; with fewer, APGD-CE, untargeted FAB and Square run. It is defined for
    classifiers: a goal without a classifier is refused. It needs the extra `autoattack`.

    The reference seeds torch's global generator and removes the trace function of a debugger: both are restored. It accepts NaN,
    a network in training mode and images outside [0, 1] without an error: here these are refused.

    Args:
        batch_size: images that the reference attacks at a time.
    """

    classifiers_only: ClassVar[bool] = True

    batch_size: int = 250

    @property
    def configuration(self) -> str:
        """Every option with its value, and the version of the reference: a report must state what ran."""
        try:
            version = metadata.version("pyautoattack")
        except metadata.PackageNotFoundError:
            version = "not installed"
        return f"AutoAttack(threat={self.threat!r}, batch_size={self.batch_size}, pyautoattack={version!r})"

    def search(self, goal: Goal, ball: Ball, strongest: Strongest, generator: torch.Generator | None) -> None:
        if goal.classifier is None:
            raise ValueError(
                "autoattack is defined for classifiers only; attack this task with worst-of attacks such as apgd and square"
            )
        if not torch.allclose(ball.eps, torch.full_like(ball.eps, self.threat.eps)):
            raise ValueError("autoattack knows one eps for all images; use apgd for a size per image")
        rows = goal.open(strongest.values)
        if len(rows) == 0:
            return
        part = goal.take(rows)
        assert part.classifier is not None
        images, labels = ball.origin[rows].contiguous(), part.classifier.labels[part.rows]
        self._refuse(part.classifier.logits, images)
        device = None if generator is None else generator.device
        seed = int(torch.randint(2**31, (1,), generator=generator, device=device))
        with _as_it_was(images.device):
            found = self._run(part, images, labels, seed)
        strongest.offer(rows, found, part.judge(found))

    def _refuse(self, logits: object, images: Images) -> None:
        """Raise ValueError for what the reference would accept and count as robust."""
        if not bool((images >= 0).all() and (images <= 1).all()):  # also for NaN
            low, high = torch.aminmax(images)
            raise ValueError(f"images must be finite and in [0, 1], got values from {float(low):g} to {float(high):g}")
        if isinstance(logits, nn.Module) and any(module.training for module in logits.modules()):
            raise ValueError("the model is in training mode; call .eval() first")
        with torch.no_grad():
            if not bool(torch.isfinite(logits(images)).all()):  # type: ignore[operator]
                raise ValueError("the model returns NaN or infinite logits, which no attack can raise")

    def _run(self, goal: Goal, images: Images, labels: torch.Tensor, seed: int) -> Images:
        with needed("autoattack", "pyautoattack", "'robustfeat[autoattack]'"):
            from pyautoattack import AutoAttack as Reference

        assert goal.classifier is not None
        function = goal.classifier.logits
        classes = function(images[:1]).shape[1]

        def model(x: Images) -> Logits:
            goal.effort.forwards += len(x)
            if torch.is_grad_enabled() and x.requires_grad:
                goal.effort.backwards += len(x)
                x.register_hook(torch.Tensor.contiguous)  # the reference cannot use gradients in channels_last
            return function(x)

        parts = {} if classes >= 4 else {"version": "custom", "attacks": ["apgd-ce", "fab", "square"]}
        reference = Reference(
            model, norm=NORMS[self.threat.norm], eps=float(self.threat.eps), seed=seed, device=images.device, **parts
        )

        for targeted in (reference.apgd_targeted, reference.fab):
            targeted.n_target_classes = min(targeted.n_target_classes, classes - 1)
        found, _ = reference.run_standard_evaluation(images, labels, batch_size=self.batch_size)
        return found


@contextmanager
def _as_it_was(device: torch.device) -> Iterator[None]:
    """Restore the random state, including numpy's, and the trace function of the caller at the end of the context."""
    import numpy as np

    trace, state = sys.gettrace(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        np.random.set_state(state)
        sys.settrace(trace)
