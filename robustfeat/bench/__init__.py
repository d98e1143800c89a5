"""Training methods side by side: same teacher, data, budget and attacks, several seeds."""

from robustfeat.bench.grid import Grid, Method
from robustfeat.bench.run import bench
from robustfeat.bench.summary import Summary, summarise

__all__ = ["Grid", "Method", "Summary", "bench", "summarise"]
