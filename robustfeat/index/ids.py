"""The set of ids in an index, with fast membership tests and additions."""

from __future__ import annotations

import numpy as np

LARGEST = np.iinfo(np.int64).max


class Ids:
    """A set of ids, 8 bytes each.

    The ids are kept as sorted runs, each more than twice as long as the next, so that a stream of n ids, in chunks of any size,
    costs n log n in all.

    Args:
        ids: the first ids, int64 (n,).
        next: an id above all that were ever in the set, if that is known.

    Attributes:
        next: an id above all that are or ever were in the set, as far as is known.
    """

    def __init__(self, ids: np.ndarray, next: int = 0) -> None:
        self._runs = [np.sort(ids)] if len(ids) else []
        self.next = max(next, int(ids.max()) + 1 if len(ids) else 0)

    def free(self, count: int) -> np.ndarray:
        """Return the next `count` ids that were never used.

        Raises:
            ValueError: there are not so many.
        """
        if count and self.next > LARGEST - count:
            raise ValueError(f"there are no {count} ids after {self.next - 1}, the largest in the index; give ids")
        return np.arange(self.next, self.next + count)

    def holds(self, ids: np.ndarray) -> np.ndarray:
        """Return which of ids (n,) are in the set, bool (n,)."""
        found = np.zeros(len(ids), dtype=bool)
        for run in self._runs:
            at = np.searchsorted(run, ids)
            found |= run[np.minimum(at, len(run) - 1)] == ids
        return found

    def check_new(self, ids: np.ndarray) -> None:
        """Check ids that are to be added.

        Raises:
            ValueError: an id is negative, repeats, or is in the set.
        """
        if (ids < 0).any():
            raise ValueError(f"ids must not be negative, got {int(ids.min())}")
        values, counts = np.unique(ids, return_counts=True)
        if (repeated := values[(counts > 1) | self.holds(values)]).size:
            raise ValueError(
                f"ids must be different from each other and from those in the index, {int(repeated[0])} repeats"
            )

    def add(self, ids: np.ndarray) -> None:
        """Add ids that are not in the set."""
        run = np.sort(ids)
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.sort(
                np.concatenate([self._runs.pop(), run]), kind="stable"
            )  # merges what is sorted in linear time
        if len(run):
            self._runs.append(run)
            self.next = max(self.next, int(run[-1]) + 1)

    def remove(self, ids: np.ndarray) -> None:
        """Remove ids."""
        left = (run[~np.isin(run, ids)] for run in self._runs)
        self._runs = [run for run in left if len(run)]
