"""One ascent of some images of a batch, from which images are removed once the attack on them has succeeded."""

from __future__ import annotations

import torch
from torch import Tensor

from robustfeat.attacks.base import Strongest
from robustfeat.attacks.goal import Goal, Score
from robustfeat.attacks.threat import Ball
from robustfeat.numerics.types import PerExample, Points


class Climb:
    """The points of one ascent, which move within their balls.

    An image is won when its deciding loss shows success. It then keeps the point that won, and is soon removed from the
    computation. To remove images, the host must wait for the device to know how many are left. This is done after the first
    steps, in which most images are won, and then after every eighth step; until then won images are carried along without
    effect.

    Attributes:
        rows: row numbers in the batch of the images that are computed.
        point: current points of these images.
    """

    def __init__(
        self,
        goal: Goal,
        ball: Ball,
        strongest: Strongest | None,
        steps: int,
        generator: torch.Generator | None,
        *,
        random: bool = True,
    ) -> None:
        """Begin at random points of the balls, or at the images, for all images that are not won yet.

        Args:
            goal: the loss to raise.
            ball: the points that are allowed for each image.
            strongest: receives every point on the way; with None, no image is removed and nothing is recorded.
            steps: gradient steps of the ascent.
            generator: source of the random numbers; None takes torch's global generator.
            random: whether to begin at random points instead of the images.
        """
        self.strongest, self.steps, self.step = strongest, steps, 0
        if strongest is None:
            self.rows, self.goal, self.ball = goal.rows, goal, ball
        else:
            self.rows = goal.open(strongest.values)
            self.goal, self.ball = goal.take(self.rows), ball.take(self.rows)
        self.point: Points = self.ball.sample(generator) if random else self.ball.origin
        low = self.point.new_full((len(self.rows),), -torch.inf)
        self._first = self._late = self._best = low  # of the followed loss
        self._unwon = torch.ones_like(low, dtype=torch.bool)

    def slope(self, climb: str | None, *carried: Tensor) -> tuple[Score, Points, list[Tensor]]:
        """Return scores and gradient at the current points, and the carried tensors, of the images that remain after this step.

        Args:
            climb: the loss whose gradient is followed, as in `Goal.climbed`.
            *carried: tensors with one row per image, from which the rows of removed images are removed as well.
        """
        score, gradient = self.goal.slope(self.point, climb)
        if self.strongest is None:
            return score, gradient, list(carried)
        unwon = score.decides.masked_fill(~self._unwon, torch.nan)  # NaN never wins
        self.strongest.offer(self.rows, self.point, unwon)
        self._note(score.climb, gradient)
        self._unwon = self._unwon & self.goal.unwon(score.decides)
        if not self.goal.wins or not (self.step in (1, 2, 4) or self.step % 8 == 0):
            return score, gradient, list(carried)
        left = self._drop_won()
        return Score(*(values[left] for values in score)), gradient[left], [tensor[left] for tensor in carried]

    def _note(self, loss: PerExample, gradient: Points) -> None:
        """Record, for the health checks, the zero gradients of a step and the rise of the followed loss."""
        self.goal.effort.took_step(self.step, gradient, self._unwon)
        self._best = torch.maximum(self._best, loss)
        if self.step <= 1:
            self._first = self._best
        if self.step <= 3 * self.steps // 4:
            self._late = self._best
        self.step += 1

    def _drop_won(self) -> Tensor:
        """Remove the images that are won; return the positions of the remaining ones."""
        left = self._unwon.nonzero().squeeze(1)
        self.rows, self.point, self._unwon = self.rows[left], self.point[left], self._unwon[left]
        self.goal, self.ball = self.goal.take(left), self.ball.take(left)
        self._first, self._late, self._best = self._first[left], self._late[left], self._best[left]
        return left

    def finish(self) -> None:
        """Offer the final points of the ascent."""
        if self.strongest is None:
            return
        if self.goal.wins:
            self._drop_won()
        if len(self.rows):
            self.strongest.offer(self.rows, self.point, self.goal.judge(self.point))
            self.goal.effort.ended(self._first, self._late, self._best)
