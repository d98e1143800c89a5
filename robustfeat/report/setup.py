"""This module describes how a report was measured: the settings that its numbers depend on, and the paths that were used."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from robustfeat.numerics.eps import Eps


@dataclass(frozen=True)
class Setup:
    """The settings of an evaluation; flags, Python and reports use the same names.

    Args:
        data: a data set with a train and a test split, as `robustfeat.dataset` reads it.
        image: the image column, if the data has several.
        label: the label column, if the data has several.
        train: the split that the tasks are fitted on.
        test: the split that is measured.
        task: names of tasks; one may have an argument, as in "anomaly:gmm".
        attack: names of attacks.
        outliers: for the task ood, a data set whose test split is added as anomalies.
        norm: the norm that bounds the perturbation.
        eps: the size of the perturbation in pixel units, such as 8/255; None takes 8/255 for linf, 128/255 for l2.
        curve: several eps instead of one, such as 1/255,2/255,4/255: each attack runs once per size and starts from the result of
            the size before.
        source: another model that the images of each attack are also crafted on (transfer).
        steps: gradient steps of the attacks that have them; None is each attack's own number.
        restarts: restarts of the attacks that have them; None is each attack's own number.
        queries: queries of the attacks that have them; None is each attack's own number.
        patches: use the maps of the middle stages as features, for anomaly:patchcore.
        shots: train the tasks on this many images of each class only.
        limit: measure this many of the test images.
        batch_size: images per batch.
        seed: the seed of all random numbers of the evaluation.
        examined: cases of each task and attack that are checked for masked gradients, each at the price of 572 passes; None takes
            as many as a quarter of the attack's time allows, at most 16; 0 leaves the checks out.
        image_size: images are scaled to this many pixels per side, and eps is in pixels after that; None is the size of the
            model.
        on_error: for images that cannot be read, "raise" names the first, "skip" leaves them out and counts them.
        model: the name that the model was loaded by, for `recount`; None if not recorded.
        records: a folder for finished batches, from which an interrupted evaluation continues.
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
    examined: int | None = None
    image_size: int | None = None
    on_error: Literal["raise", "skip"] = "raise"
    model: str | None = None
    records: str | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Select the settings among flags or the entries of a file; other entries are ignored."""
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
        """Return JSON values; eps is written as it is printed, so that reading it back gives the same float."""
        eps = None if self.eps is None else repr(self.eps)
        return dataclasses.asdict(self) | {"task": list(self.task), "attack": list(self.attack), "eps": eps}
