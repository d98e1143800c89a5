"""Ten attacks on rankings, and the empirical robustness score: Zhou et al., T-PAMI 2024 (arXiv 2106.03614)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from robustfeat.numerics.random import Stream, generator
from robustfeat.numerics.scale import unit
from robustfeat.numerics.types import Features, PerExample
from robustfeat.tasks import TASKS
from robustfeat.tasks.base import Task

KINDS = ("ca+", "ca-", "qa+", "qa-", "tma", "es-d", "es-r", "ltm", "gtm", "gtt")
SHARPNESS = 20.0  # of the hinges, per unit of cosine
BLOCK = 512  # queries at a time
TOP = 4  # gtt: how far the best match may fall


@TASKS.register("ranks")
class Ranks(Task):
    """Ten attackers on cosine rankings, each with its own goal and metric; the headline is their mean, the robustness score.

    A case is a test image and an attacker. The training features are the gallery. The test image is a query (qa, tma, es, ltm,
    gtm, gtt), or a candidate for the gallery that is ranked for `queries` gallery items, which act as queries (ca). Ranks are
    shares of the gallery, 0 is first. Every metric is 1 if the attacker achieves nothing:

    ca+, qa+   twice the rank of a random item that the attacker raises, at most 1; before the attack it is random, about 1/2
    ca-, qa-   1 - the rank of an item among the best hundredth that the attacker lowers
    tma        1 - cosine to the embedding of another test image that the attacker imitates, at most 1
    es-d, es-r 1 - (1 - cosine to the clean embedding) / 2, and recall@1, where the attacker moves the embedding away
    ltm        recall@1 where a wrong item is pulled before the best right one (the margin itself, which is exact)
    gtm        recall@1 where the wrong item that is closest to the clean query is pulled near
    gtt        whether the best match of the clean query is still among the best four
    ers        the mean of these metrics, which is the headline

    ltm and gtt climb the exact margins, which are stronger than the proxies of the paper, so scores can only be lower.

    Args:
        queries: the number of gallery items that a candidate is ranked for (w of the paper, whose score takes 1).
        seed: of the choice of items.
    """

    gallery: Tensor | None
    labels: Tensor | None
    clean: Tensor | None

    def __init__(self, queries: int = 1, seed: int = 0) -> None:
        super().__init__()
        if queries < 1:
            raise ValueError(f"queries must be at least 1, got {queries!r}")
        self.queries, self.seed = queries, seed
        for name in ("gallery", "labels", "clean"):
            self.register_buffer(name, None)

    def _fit(self, features: Features, targets: Tensor) -> None:
        if len(targets.unique()) < 2 or len(features) < 2 * TOP:
            raise ValueError(
                f"ranks need at least {2 * TOP} gallery items of two classes, got {len(features)} of {len(targets.unique())}"
            )
        self.gallery, self.labels, self.clean = unit(features.detach().float()), targets.clone(), None

    def _cases(self, labels: Tensor, features: Features) -> tuple[Tensor, Tensor]:
        """Return the cases; targets are (attacker, test row, label, items ...), `queries` items for ca, else at most one."""
        assert self.gallery is not None
        if len(features) < 2:
            raise ValueError(f"ranks need at least two test images, got {len(features)}")
        if self.queries > len(self.gallery) // 2:
            raise ValueError(f"queries = {self.queries} is more than half of the {len(self.gallery)} gallery items")
        self.clean = unit(features.detach().float()).to(self.gallery.device)
        n, m = len(features), len(self.gallery)
        random = generator(self.seed, Stream.RANKS)
        # Items one after the other round the gallery, from a random one on: different, and as random as its order.
        first = torch.randint(m, (n, 1), generator=random)
        anywhere = (first + torch.arange(self.queries) * (m // self.queries)) % m
        found = [
            self._nearest(part, own) for part, own in zip(self.clean.split(BLOCK), labels.split(BLOCK), strict=True)
        ]
        best, wrong, match = (torch.cat(parts) for parts in zip(*found, strict=True))
        among = torch.rand(best.shape, generator=random).argsort(dim=1)[:, : self.queries]
        near = best.gather(1, among)
        others = (torch.arange(n) + torch.randint(1, n, (n,), generator=random)) % n
        chosen = {"ca+": anywhere, "ca-": near, "qa+": anywhere, "qa-": near, "tma": others, "gtm": wrong, "gtt": match}
        blank = torch.zeros(n, self.queries, dtype=torch.long)
        targets = []
        for kind, name in enumerate(KINDS):
            items = chosen.get(name, blank)
            items = items if items.ndim == 2 else items[:, None].expand(n, self.queries)
            targets.append(torch.cat([torch.stack([blank[:, 0] + kind, torch.arange(n), labels.cpu()], 1), items], 1))
        return torch.arange(n).repeat(len(KINDS)), torch.cat(targets)

    def _nearest(self, clean: Features, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return for queries the best hundredth of the gallery, the best item of another class, and the best one, on the CPU."""
        assert self.gallery is not None
        cosines = clean @ self.gallery.T
        best = cosines.topk(max(self.queries, len(self.gallery) // 100), dim=1).indices
        wrong = cosines.masked_fill(self._same(labels), -2).argmax(dim=1)
        return best.cpu(), wrong.cpu(), best[:, 0].cpu()

    def _evidence(self, features: Features) -> Features:
        """Return embeddings of length 1."""
        assert self.gallery is not None
        return unit(features.to(self.gallery.dtype))

    def _judge(self, features: Features, targets: Tensor) -> dict[str, PerExample]:
        with torch.no_grad():
            kept = self._by_kind(self._evidence(features), targets, _METRICS)
        return {"kept": kept, "attacker": targets[:, 0].float()}

    def _loss(self, evidence: Features, targets: Tensor) -> PerExample:
        return self._by_kind(evidence, targets, _LOSSES)

    def _check_targets(self, targets: Tensor) -> None:
        if self.clean is None:
            raise RuntimeError("Ranks does not know which images it is asked about; call cases first")

    def summary(self, judged: dict[str, PerExample], targets: Tensor) -> dict[str, float]:
        kept, attacker = judged["kept"].double(), judged["attacker"]
        means = {name: float(kept[attacker == i].nanmean()) for i, name in enumerate(KINDS) if (attacker == i).any()}
        if not means:
            raise ValueError("there are no cases to score")
        return {"ers": sum(means.values()) / len(means)} | means

    def _by_kind(self, x: Features, targets: Tensor, functions: dict[str, _Function]) -> PerExample:
        """Return for each case, with embedding x, the value of its attacker's function."""
        values = x.new_zeros(len(x))
        for kind, name in enumerate(KINDS):
            mine = (targets[:, 0] == kind).nonzero().squeeze(1)
            if len(mine):
                values = values.index_put((mine,), functions[name](_Case(self, x[mine], targets[mine])))
        return values

    def _same(self, labels: Tensor) -> Tensor:
        """Return which gallery items are right for each label, bool (n, m)."""
        assert self.labels is not None
        return self.labels == labels.to(self.labels.device)[:, None]


class _Case:
    """The cases of one attacker: embeddings x (n, d), and the data needed to rank them."""

    def __init__(self, task: Ranks, x: Tensor, targets: Tensor) -> None:
        assert task.gallery is not None
        assert task.clean is not None
        self.x, self.gallery = x, task.gallery
        self.rows, self.items = targets[:, 1], targets[:, 3:]
        self.clean, self.same = task.clean, task._same(targets[:, 2])
        self.cosines = x @ task.gallery.T

    def query_gaps(self) -> Tensor:
        """Return the cosine to every gallery item minus that to the chosen one, (n, m)."""
        return self.cosines - self.cosines.gather(1, self.items[:, :1])

    def candidate_gaps(self) -> Tensor:
        """Return, for items as queries, cosines to all other gallery items minus that to the candidate, (n, queries, m)."""
        queries = self.gallery[self.items]
        others = queries @ self.gallery.T
        gaps = others - (queries @ self.x[:, :, None])
        return gaps.scatter(2, self.items[:, :, None], -2)

    def margin(self) -> PerExample:
        """Return the margin of the best wrong item over the best right one."""
        right = self.cosines.masked_fill(~self.same, -2).amax(dim=1)
        wrong = self.cosines.masked_fill(self.same, -2).amax(dim=1)
        return wrong - right

    def recall(self) -> PerExample:
        """Return recall@1; NaN for cases without a right item."""
        return (self.margin() <= 0).float().masked_fill(~self.same.any(dim=1), torch.nan)

    def fall(self) -> PerExample:
        """Return the cosine to the fourth-best of the other items minus that to the best match of the clean query."""
        item = self.items[:, :1]
        fourth = self.cosines.scatter(1, item, -2).topk(TOP, dim=1).values[:, -1]
        return fourth - self.cosines.gather(1, item).squeeze(1)

    def away(self) -> PerExample:
        """Return the cosine to the clean embedding."""
        return (self.x * self.clean[self.rows]).sum(dim=1)


_Function = Callable[[_Case], PerExample]


def _rank(gaps: Tensor) -> PerExample:
    """Return the share of items before the chosen one, over all dimensions but the first."""
    return (gaps > 0).float().flatten(1).mean(dim=1)


def _hinge(gaps: Tensor) -> PerExample:
    """Return a soft hinge, so that an item that is already first or last still has a gradient."""
    return F.softplus(gaps, beta=SHARPNESS).flatten(1).mean(dim=1)


_METRICS: dict[str, _Function] = {
    "ca+": lambda c: (2 * _rank(c.candidate_gaps())).clamp_max(1),
    "ca-": lambda c: 1 - _rank(c.candidate_gaps()),
    "qa+": lambda c: (2 * _rank(c.query_gaps())).clamp_max(1),
    "qa-": lambda c: 1 - _rank(c.query_gaps()),
    "tma": lambda c: (1 - (c.x * c.clean[c.items[:, 0]]).sum(dim=1)).clamp(0, 1),
    "es-d": lambda c: ((1 + c.away()) / 2).clamp(0, 1),
    "es-r": lambda c: c.recall(),
    "ltm": lambda c: c.recall(),
    "gtm": lambda c: c.recall(),
    "gtt": lambda c: (c.fall() <= 0).float(),
}

# What each attacker raises; the hinges are those of the paper, equations 3 and 5.
_LOSSES: dict[str, _Function] = {
    "ca+": lambda c: -_hinge(c.candidate_gaps()),
    "ca-": lambda c: -_hinge(-c.candidate_gaps()),
    "qa+": lambda c: -_hinge(c.query_gaps()),
    "qa-": lambda c: -_hinge(-c.query_gaps()),
    "tma": lambda c: (c.x * c.clean[c.items[:, 0]]).sum(dim=1),
    "es-d": lambda c: -c.away(),
    "es-r": lambda c: -c.away(),
    "ltm": lambda c: c.margin(),
    "gtm": lambda c: c.cosines.gather(1, c.items[:, :1]).squeeze(1),
    "gtt": lambda c: c.fall(),
}
