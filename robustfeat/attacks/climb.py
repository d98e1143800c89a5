"""One ascent of some images of a batch: the state that shrinks as images are won."""

from __future__ import annotations

import torch
from torch import Tensor

from robustfeat.attacks.base import Strongest
from robustfeat.attacks.goal import Goal, Score
from robustfeat.attacks.threat import Ball
from robustfeat.types import Points


class Climb:
    """Points that move within their balls. Points that are won are dropped, and nothing is computed for them any more.

    rows: of the batch, of the images that are left.  point: where they are.
    """

    def __init__(
        self, goal: Goal, ball: Ball, strongest: Strongest | None, random: bool, generator: torch.Generator | None
    ) -> None:
        """Begin at random points of the balls, or at the images, for all that are still to be won.

        strongest: gets every point on the way; without it, no image is dropped.
        """
        self.strongest = strongest
        if strongest is None:
            self.rows, self.goal, self.ball = goal.rows, goal, ball
        else:
            self.rows = goal.open(strongest.values)
            self.goal, self.ball = goal.take(self.rows), ball.take(self.rows)
        self.point: Points = self.ball.sample(generator) if random else self.ball.origin

    def slope(self, climb: str, *carried: Tensor) -> tuple[Score, Points, list[Tensor]]:
        """Scores and gradient where we are, for the images that are left after it, and the carried tensors of these."""
        score, gradient = self.goal.slope(self.point, climb)
        if self.strongest is None:
            return score, gradient, list(carried)
        self.strongest.offer(self.rows, self.point, score.decides)
        left = self.goal.open(score.decides)
        if len(left) == len(self.rows):
            return score, gradient, list(carried)
        self.rows, self.point = self.rows[left], self.point[left]
        self.goal, self.ball = self.goal.take(left), self.ball.take(left)
        return Score(*(values[left] for values in score)), gradient[left], [tensor[left] for tensor in carried]

    def finish(self) -> None:
        """Offer where the ascent has come to."""
        if self.strongest is not None and len(self.rows):
            self.strongest.offer(self.rows, self.point, self.goal.judge(self.point))
