"""The goal of an attack: losses to climb, the loss that decides, and a count of the work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from robustfeat.attacks.effort import Effort
from robustfeat.numerics.types import Images, Labels, Logits, Loss, PerExample, Points

GUIDE = "ce"  # what an attack follows that names no loss: the decision itself is flat where it is sure, cross-entropy is not


class Score(NamedTuple):
    """The losses of one point per image.

    Args:
        decides: the deciding loss (n,); larger is worse for the defender.
        climb: the loss (n,) whose gradient is followed.
    """

    decides: PerExample
    climb: PerExample


class Classifier(NamedTuple):
    """The classifier behind a goal, for attacks that are defined for classifiers only.

    Args:
        logits: images -> logits.
        labels: the label of each row of the batch.
    """

    logits: Callable[[Images], Logits]
    labels: Labels


class Goal:
    """A per-example loss that an attack raises, which can be restricted to some of the images.

    Args:
        forward: images (n, ...) -> features; the expensive part.
        losses: name -> function (evidence, what is asked) -> (n,). The first one decides which of two points is worse; attacks
            may climb another one, whose gradient they follow (`climbed`).
        asked: for each image of the batch, what the losses need, such as its label or its number.
        wins: whether a deciding loss > 0 is a success, after which an image is not attacked further.
        evidence: features -> evidence, the input of all losses, computed once for each point; None takes the features
            themselves.
        classifier: the logits and labels, where the goal is a wrong class.
        surrogate: another model -> the same goal through that model.
        rows: row numbers in the batch of the images that are attacked; None takes all.
        effort: where the work is counted; None begins a new count.
    """

    def __init__(
        self,
        forward: Callable[[Points], Any],
        losses: Mapping[str, Callable[[Any, Tensor], PerExample]],
        asked: Tensor,
        *,
        wins: bool,
        evidence: Callable[[Any], Any] | None = None,
        classifier: Classifier | None = None,
        surrogate: Callable[[Any], Goal] | None = None,
        rows: Tensor | None = None,
        effort: Effort | None = None,
    ) -> None:
        self.forward, self.evidence, self.losses, self.asked, self.wins = forward, evidence, losses, asked, wins
        self.classifier, self.surrogate = classifier, surrogate
        self.rows = torch.arange(len(asked), device=asked.device) if rows is None else rows
        self.effort = effort or Effort()

    @classmethod
    def of(cls, loss: Loss | Goal, images: Points) -> Goal:
        """Return a goal unchanged, or a plain loss of the whole batch as a goal that does not define success."""
        if isinstance(loss, Goal):
            return loss
        everything = torch.arange(len(images), device=images.device)

        def values(part: Points, rows: Tensor) -> Tensor:
            if len(rows) == len(everything):
                return loss(part)
            return loss(images.detach().index_copy(0, rows, part))[rows]

        return cls(lambda x: x, {"loss": values}, everything, wins=False)

    def take(self, rows: Tensor) -> Goal:
        """Return the same goal for some of its images; the work is counted in the same effort."""
        return self._copy(self.rows[rows], self.effort)

    def uncounted(self) -> Goal:
        """Return the same goal with a separate effort."""
        return self._copy(self.rows, None)

    def _copy(self, rows: Tensor, effort: Effort | None) -> Goal:
        return Goal(
            self.forward,
            self.losses,
            self.asked,
            wins=self.wins,
            evidence=self.evidence,
            classifier=self.classifier,
            surrogate=self.surrogate,
            rows=rows,
            effort=effort,
        )

    @property
    def deciding(self) -> str:
        """The name of the loss that decides."""
        return next(iter(self.losses))

    def climbed(self, climb: str | None) -> str:
        """Return the name of the loss that an attack climbs.

        Args:
            climb: the name of a loss; "" for the deciding one; None for cross-entropy, or the deciding loss of a goal without
                it.

        Raises:
            ValueError: the goal does not have this loss.
        """
        if climb is None:
            return GUIDE if GUIDE in self.losses else self.deciding
        if climb == "":
            return self.deciding
        if climb not in self.losses:
            raise self.without(climb)
        return climb

    def without(self, climb: str) -> ValueError:
        """Return the error for an attack that climbs a loss which the goal does not have."""
        return ValueError(
            f"the goal has no loss {climb!r}, it has {', '.join(map(repr, self.losses))}; name one of them, '' for the one that "
            "decides, or None to leave the choice to the goal"
        )

    def score(self, images: Points, climb: str | None) -> Score:
        """Return the deciding and the climbed loss of images (n, ...).

        Args:
            images: points of the images in `rows`.
            climb: the loss to climb, as in `climbed`.

        Raises:
            ValueError: a loss does not return one value per image.
        """
        followed = self.climbed(climb)
        self.effort.forwards += len(images)
        seen, asked = self.forward(images), self.asked[self.rows]
        evidence = seen if self.evidence is None else self.evidence(seen)
        decides = self.losses[self.deciding](evidence, asked)
        climbed = decides if followed == self.deciding else self.losses[followed](evidence, asked)
        for values in (decides, climbed):
            if values.shape != images.shape[:1]:
                raise ValueError(
                    f"the loss must return one value per image, shape ({len(images)},), got {tuple(values.shape)}"
                )
        return Score(decides, climbed)

    @torch.no_grad()
    def judge(self, images: Points) -> PerExample:
        """Return the deciding loss (n,), without gradient."""
        return self.score(images, "").decides

    def slope(self, images: Points, climb: str | None = "") -> tuple[Score, Points]:
        """Return both losses, detached, and the gradient of the climbed one.

        Args:
            images: points of the images in `rows`.
            climb: the loss to climb, as in `climbed`.

        Raises:
            RuntimeError: the gradient is cut off between images and loss.
        """
        images = images.detach().requires_grad_()
        with torch.enable_grad():
            score = self.score(images, climb)
            if not score.climb.requires_grad:
                raise RuntimeError(
                    "the loss has no gradient: something between images and loss is detached "
                    "(no_grad, inference_mode, .data, numpy)"
                )
            (gradient,) = torch.autograd.grad(score.climb.sum(), images, allow_unused=True)
        if gradient is None:
            raise RuntimeError("the loss does not depend on the images")
        self.effort.backwards += len(images)
        return Score(score.decides.detach(), score.climb.detach()), gradient

    def unwon(self, decides: PerExample) -> Tensor:
        """Return which of these images are not won yet, bool (n,)."""
        return decides <= 0 if self.wins else torch.ones_like(decides, dtype=torch.bool)

    def open(self, decides: PerExample) -> Tensor:
        """Return the row numbers of the images that are not won yet; where success is defined, the host waits for the device."""
        if not self.wins:
            return torch.arange(len(decides), device=decides.device)
        return self.unwon(decides).nonzero().squeeze(1)
