"""The bench package compares training methods with the same teacher, data, budget and attacks over several seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustfeat.runtime.lazy import attach

if TYPE_CHECKING:
    from robustfeat.bench.grid import Grid, Method
    from robustfeat.bench.run import Outcome, bench
    from robustfeat.bench.summary import Summary, summarise

__all__ = ["Grid", "Method", "Outcome", "Summary", "bench", "summarise"]

attach(__name__)
