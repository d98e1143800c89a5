"""Square attack, Andriushchenko et al. 2020 (arXiv 1912.00049): random squares, kept where they raise the loss."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import EllipsisType

import torch
from torch import Tensor

from robustfeat.attacks import ATTACKS
from robustfeat.attacks.base import Attack, Strongest
from robustfeat.attacks.goal import Goal
from robustfeat.attacks.threat import Ball, length
from robustfeat.numerics.types import Images

# After so many of 10,000 queries the share of changed pixels is halved (section 3.2 of the paper).
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


@ATTACKS.register("square")
@dataclass(frozen=True, repr=False)
class Square(Attack):
    """Random squares that are kept where they raise the loss; needs no gradient, so that gradient masking does not stop it.

    Where it beats a gradient attack, that attack has failed.

    Args:
        queries: proposals per image and restart.
        restarts: number of runs, each from its own random start.
        share: share of the pixels that the first squares change, in (0, 1].
    """

    queries: int = 5000
    restarts: int = 1
    share: float = 0.8

    def __post_init__(self) -> None:
        for name in ("queries", "restarts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)!r}")
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be in (0, 1], got {self.share!r}")

    def search(self, goal: Goal, ball: Ball, strongest: Strongest, generator: torch.Generator | None) -> None:
        move: _Move = {"linf": _LinfMove, "l2": _L2Move}[self.threat.norm](generator)
        for _ in range(self.restarts):
            rows = goal.open(strongest.values)
            # The walk of this restart; `strongest` keeps the worst of all restarts.
            point = move.start(ball.take(rows))
            current = goal.take(rows).judge(point) if len(rows) else strongest.values[rows]
            strongest.offer(rows, point, current)
            for query in range(1, self.queries):
                left = goal.open(current)
                rows, point, current = rows[left], point[left], current[left]
                if len(rows) == 0:
                    break
                side = self._side(query, point.shape[-1] * point.shape[-2])
                proposal = move(point, ball.take(rows), min(side, *point.shape[-2:]))
                values = goal.take(rows).judge(proposal)
                strongest.offer(rows, proposal, values)
                better = values > current
                point = torch.where(better.view(-1, 1, 1, 1), proposal, point)
                current = torch.where(better, values, current)

    def _side(self, query: int, pixels: int) -> int:
        """Return the side of the squares, in pixels."""
        halvings = sum(query > threshold * self.queries / 10_000 for threshold in HALVINGS)
        return max(1, round(math.sqrt(self.share / 2**halvings * pixels)))


class _Move(ABC):
    """The first point, and proposals that change it in a window, with the random numbers of one attack."""

    def __init__(self, generator: torch.Generator | None) -> None:
        self.generator = generator
        # Where windows lie is asked by the host: the numbers of a device's generator would have to be waited for each time.
        self.places = _on_the_host(generator)

    @abstractmethod
    def start(self, ball: Ball) -> Images:
        """Return the first point of each image."""

    @abstractmethod
    def __call__(self, point: Images, ball: Ball, side: int) -> Images:
        """Return a changed point of each image, in a window with sides of about `side` pixels."""

    def window(self, point: Images, side: int) -> tuple[EllipsisType, slice, slice]:
        top, left = (self.integer(extent - side + 1) for extent in point.shape[-2:])
        return ..., slice(top, top + side), slice(left, left + side)

    def integer(self, below: int) -> int:
        return int(torch.randint(below, (1,), generator=self.places))

    def signs(self, *shape: int, like: Tensor) -> Tensor:
        device = like.device if self.generator is None else self.generator.device
        return torch.randint(2, shape, generator=self.generator, device=device).to(like) * 2 - 1


class _LinfMove(_Move):
    """Squares of +-eps per channel; the first point has vertical stripes."""

    def start(self, ball: Ball) -> Images:
        n, c, _, w = ball.origin.shape
        return (ball.origin + ball.eps * self.signs(n, c, 1, w, like=ball.origin)).clamp(0, 1)

    def __call__(self, point: Images, ball: Ball, side: int) -> Images:
        n, c = point.shape[:2]
        window = self.window(point, side)
        moved = point.clone()
        moved[window] = (ball.origin[window] + ball.eps * self.signs(n, c, 1, 1, like=point)).clamp(0, 1)
        return moved


class _L2Move(_Move):
    """A window receives a two-peaked bump and the mass of another window; the norm stays at eps."""

    def start(self, ball: Ball) -> Images:
        n, c, h, w = ball.origin.shape
        side = max(1, min(h, w) // 5)
        delta = torch.zeros_like(ball.origin)
        for top in range(0, h - side + 1, side):
            for left in range(0, w - side + 1, side):
                bump = self._bump(side, like=delta) * self.signs(n, c, 1, 1, like=delta)
                delta[..., top : top + side, left : left + side] += bump
        return (ball.origin + ball.eps * delta / length(delta)).clamp(0, 1)

    def __call__(self, point: Images, ball: Ball, side: int) -> Images:
        n, c, h, w = point.shape
        delta = point - ball.origin
        side = min(max(3, side), h, w)
        one, two = self.window(point, side), self.window(point, side)
        both = torch.zeros_like(delta)
        both[one] = both[two] = 1
        # What the two windows hold, and what the norm has left, goes into the first one.
        left = (ball.eps**2 - length(delta) ** 2).clamp_min(0) / c
        share = _per_channel(both * delta)
        bump = self._bump(side, like=delta) * self.signs(n, c, 1, 1, like=delta)
        direction = bump + delta[one] / _per_channel(delta[one])
        direction = direction / _per_channel(direction)
        moved = delta.clone()
        moved[two] = 0
        moved[one] = direction * (share**2 + left).sqrt()
        return (ball.origin + moved * (ball.eps / length(moved)).clamp(max=1)).clamp(0, 1)

    def _bump(self, side: int, like: Tensor) -> Tensor:
        """Return two halves of opposite sign, each a pyramid of nested rectangles, along a random axis; of l2 norm 1."""
        upper = side // 2
        halves = [_pyramid(upper, side), -_pyramid(side - upper, side)] if upper else [torch.ones(1, 1)]
        bump = torch.cat(halves).to(like)
        bump = bump / bump.norm().clamp_min(1e-12)
        return bump if self.integer(2) else bump.T


def _on_the_host(generator: torch.Generator | None) -> torch.Generator | None:
    """Return a generator on the host: the given one, or for one of a device another that is seeded by it."""
    if generator is None or generator.device.type == "cpu":
        return generator
    seed = torch.randint(2**31, (1,), generator=generator, device=generator.device)
    return torch.Generator().manual_seed(int(seed))


def _pyramid(rows: int, columns: int) -> Tensor:
    """Return the sum over nested rectangles of 1 / k^2, with k counted from the middle."""
    pyramid = torch.zeros(rows, columns)
    depth = max(1, (min(rows, columns) + 1) // 2)
    for i in range(depth):
        pyramid[i : rows - i, i : columns - i] += 1 / (depth - i) ** 2
    return pyramid


def _per_channel(x: Tensor) -> Tensor:
    """Return the l2 norm of each channel of each image, (n, c, 1, 1), never 0."""
    return x.flatten(2).norm(dim=2).clamp_min(1e-12)[..., None, None]
