"""How a report was measured: what its numbers depend on, and where that lay."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from robustfeat.numerics.eps import Eps


@dataclass(frozen=True)
class Setup:
    """The choices that `robustfeat evaluate` has, by the names of its flags; `robustfeat evaluate --help` says more about each.

    data, image, label, on_error: what `robustfeat.dataset` reads.  train, test: splits to fit on and to measure.
    image_size: to which images are scaled; None is that of the model.
    task, attack: names; `task` may have arguments, as in "anomaly:gmm".  outliers: a data set that is added as anomalies.
    norm, eps, steps, restarts, queries: of the attacks that have them; None is each attack's own.
    curve: several eps, such as "1/255,2/255".  source: another model that the attacks are made on as well.
    patches: maps of the middle stages as features.  shots: training images of each class.  limit: test images.
    batch_size, seed, examined: arguments of `evaluate`.
    model, records: by what name the model was loaded, and the folder of finished batches, for `recount`; None where nobody said.
    """

    data: str
    image: str | None = None
    label: str | None = None
    train: str = "train"
    test: str = "test"
    task: tuple[str, ...] = ()
    attack: tuple[str, ...] = ()
    outliers: str | None = None
    norm: Literal["linf", "l2"] = "linf"
    eps: Eps | None = None
    curve: str | None = None
    source: str | None = None
    steps: int | None = None
    restarts: int | None = None
    queries: int | None = None
    patches: bool = False
    shots: int | None = None
    limit: int | None = None
    batch_size: int = 256
    seed: int = 0
    examined: int = 16
    image_size: int | None = None
    on_error: Literal["raise", "skip"] = "raise"
    model: str | None = None
    records: str | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """From flags, or from what a file holds: entries that are no choice of an evaluation are passed over."""
        known = {field.name for field in dataclasses.fields(cls)}
        chosen = {name: value for name, value in values.items() if name in known and value is not None}
        for name in ("task", "attack"):
            if not (words := chosen.pop(name, ())):
                continue
            chosen[name] = tuple(words)
        if "eps" in chosen:
            chosen["eps"] = Eps(chosen["eps"])
        return cls(**chosen)

    def as_dict(self) -> dict[str, Any]:
        """JSON values; eps as it is printed, so that reading it back gives the same float."""
        eps = None if self.eps is None else repr(self.eps)
        return dataclasses.asdict(self) | {"task": list(self.task), "attack": list(self.attack), "eps": eps}
