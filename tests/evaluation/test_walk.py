"""The walk of an attacked batch: what a task decides by is computed once for each point; what breaks on the way is an error."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from robustfeat.attacks import APGD, PGD, Attack, Goal, Threat
from robustfeat.data import MemoryImages
from robustfeat.evaluation.pipeline import Cases, Pipeline
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import generator
from robustfeat.tasks import KNNProbe, LinearProbe, Mahalanobis, Retrieval, Task

THREAT = Threat("linf", Eps(1e-6))  # nothing is won, so that all images are in all steps
LABELS = torch.arange(24) % 4
IMAGES = torch.randint(256, (24, 3, 8, 8), generator=generator(160), dtype=torch.uint8)
WHOLE = slice(0, 24)


def pipeline(task: Task, extractor: FeatureExtractor) -> Pipeline:
    data = MemoryImages("noise", IMAGES, LABELS)
    features = torch.from_numpy(extractor.transform(data))
    task.fit(features, LABELS)
    targets = LABELS % 2 if isinstance(task, Mahalanobis) else LABELS
    return Pipeline(extractor, next(iter(task.aims().values())), data, Cases(torch.arange(24), targets, features))


@pytest.mark.parametrize("kind", [LinearProbe, KNNProbe, Retrieval, Mahalanobis])
@pytest.mark.parametrize("attack", [PGD(THREAT, steps=3), APGD(THREAT, steps=3)], ids=["pgd", "apgd"])
def test_evidence_is_computed_once_for_each_point(
    kind: type[Task], attack: Attack, extractor: FeatureExtractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the clean images, in three steps and at the end; though one loss decides and another is climbed."""
    way = pipeline(kind(), extractor)
    goal, images = way.goal(WHOLE), way.images(WHOLE)
    seen: list[int] = []
    evidence = way.aim.task._evidence

    def noted(features: Tensor) -> object:
        seen.append(len(features))
        return evidence(features)

    monkeypatch.setattr(way.aim.task, "_evidence", noted)
    attack(goal, images, generator=generator(0))
    assert sum(seen) == goal.effort.forwards
    assert len(seen) == 5


@pytest.mark.parametrize("kind", [LinearProbe, KNNProbe, Retrieval, Mahalanobis])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_features_that_break_on_the_way_are_an_error(
    kind: type[Task], value: float, extractor: FeatureExtractor
) -> None:
    """A network that is finite on the clean images alone, which no attack may take for a robust one."""
    way = pipeline(kind(), extractor)
    images = way.images(WHOLE)
    whole, calls = way.goal(WHOLE), []

    def forward(x: Tensor) -> Tensor:
        calls.append(len(x))
        moved = (x - images).detach().abs().amax() > 0
        return extractor(x) * torch.where(moved, value, 1.0)

    task = way.aim.task
    goal = Goal(forward, whole.losses, whole.asked, wins=False, evidence=task.evidence)
    with pytest.raises(ValueError, match="features contain NaN or infinite values"):
        PGD(THREAT, steps=3)(goal, images, generator=generator(0))
    assert len(calls) == 5, "looked at when the search is over, not at every step"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda cases: cases._replace(targets=cases.targets + 1), "target 4 is not among the 4 classes"),
        (lambda cases: cases._replace(targets=cases.targets - 1), "must not be negative"),
        (lambda cases: cases._replace(clean=cases.clean * torch.nan), "features contain NaN"),
        (lambda cases: cases._replace(clean=cases.clean[:, 1:]), "width"),
    ],
)
def test_what_is_handed_in_is_checked_before_the_first_step(
    broken: object, message: str, extractor: FeatureExtractor
) -> None:
    way = pipeline(LinearProbe(), extractor)
    way.cases = broken(way.cases)  # type: ignore[operator]
    with pytest.raises(ValueError, match=message):
        way.goal(WHOLE)
