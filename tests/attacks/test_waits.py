"""How often an attack makes the host wait for the device: not at each gradient step, and not at all where training attacks."""

from __future__ import annotations

import pytest
import torch
from host_waits import HostWaits
from linear_model import Linear

from robustfeat.attacks import APGD, CW, FGSM, PGD, Attack, Fast, Goal, Threat
from robustfeat.data import MemoryImages
from robustfeat.evaluation.pipeline import Cases, Pipeline
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.checks import Pending, refuse
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import generator
from robustfeat.tasks import KNNProbe, LinearProbe, Mahalanobis, Retrieval, Task

THREAT = Threat("linf", Eps(0.02))


def waits(attack: Attack, goal: Goal, images: torch.Tensor) -> int:
    with HostWaits() as found:
        attack(goal, images, generator=generator(0))
    return sum(found.count.values())


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_attack_of_training_waits_for_nothing(norm: str) -> None:
    model = Linear(4, (3, 4, 4), 8)
    attack = PGD(Threat(norm), steps=7, keep="last")
    with HostWaits() as found, Pending().gathering():
        attack(lambda x: model(x).logsumexp(dim=1), model.images, generator=generator(0))
    assert found.count == {}


@pytest.mark.parametrize(("attack", "steps"), [(PGD, (8, 64)), (CW, (8, 64)), (APGD, (8, 64))])
def test_without_a_success_to_know_more_steps_are_no_more_waits(attack: type[Attack], steps: tuple[int, int]) -> None:
    model = Linear(4, (3, 4, 4), 8)

    def loss(images: torch.Tensor) -> torch.Tensor:
        return model(images).logsumexp(dim=1)

    few, many = (waits(attack(THREAT, steps=n), loss, model.images) for n in steps)  # type: ignore[call-arg, arg-type]
    assert few == many <= 4


@pytest.mark.parametrize("task", [LinearProbe(), KNNProbe(), Retrieval(), Mahalanobis()], ids=lambda task: task.name)
def test_through_a_pipeline_every_eighth_step_waits(task: Task, extractor: FeatureExtractor) -> None:
    """Whatever is checked on the way. One wait is for the images that are left, one for their number in the next step."""
    images = torch.randint(256, (24, 3, 8, 8), generator=generator(1), dtype=torch.uint8)
    labels = torch.arange(24) % (2 if isinstance(task, Mahalanobis) else 4)
    data = MemoryImages("noise", images, labels)
    features = torch.from_numpy(extractor.transform(data))
    task.fit(features, labels)
    for aim in task.aims().values():
        pipeline = Pipeline(extractor, aim, data, Cases(torch.arange(24), labels, features))
        whole = slice(0, 24)
        few, many = (
            waits(APGD(Threat("linf", Eps(1e-6)), steps=n), pipeline.goal(whole), pipeline.images(whole))
            for n in (8, 72)
        )
        assert few <= 14
        assert many - few <= (8 if aim.wins else 0), "64 more steps"


def slowly(model: Linear) -> PGD:
    """An attack under which images fall one after the other."""
    eps = float(2 * model.needed("linf").median())
    return PGD(Threat("linf", Eps(eps)), steps=30, step_size=eps / 15, start="clean")


def test_what_is_won_is_kept_as_it_was_won() -> None:
    """Image by image, dropped at once, as the oracle; batches carry won images along for a while."""
    model = Linear(4, (3, 4, 4), 8)
    attack = slowly(model)
    together = attack(model.goal(), model.images)
    for i in range(8):
        point, origin = model.images[i : i + 1], model.images[i : i + 1]
        best, best_margin = point, model.goal().take(torch.tensor([i])).judge(point)
        goal = model.goal().take(torch.tensor([i]))
        for step in range(31):
            score, gradient = goal.slope(point, "ce")
            if score.decides > best_margin:
                best, best_margin = point, score.decides
            if score.decides > 0 or step == 30:
                break
            delta = point + attack.step_size * gradient.sign() - origin
            point = (origin + delta.clamp(-attack.threat.eps, attack.threat.eps)).clamp(0, 1)
        torch.testing.assert_close(together[i : i + 1], best, rtol=0, atol=1e-6)


def test_won_images_count_for_nothing() -> None:
    """How many images took part in each step, against a loop that asks at each step who is left."""
    model = Linear(4, (3, 4, 4), 8)
    attack = slowly(model)
    goal = model.goal()
    attack(goal, model.images)
    left, point, counts = torch.ones(8, dtype=torch.bool), model.images, {}
    for step in range(30):
        if not left.any():
            break
        score, gradient = model.goal().slope(point, "ce")
        counts[step] = (int(left.sum()), 0)
        left = left & (score.decides <= 0)
        delta = point + attack.step_size * gradient.sign() - model.images
        point = (model.images + delta.clamp(-attack.threat.eps, attack.threat.eps)).clamp(0, 1)
    assert {step: pair for step, pair in goal.effort.steps.items() if pair[0]} == counts
    assert counts[0][0] == 8 > counts[max(counts)][0], "some fall on the way"


def test_what_is_wrong_on_the_way_is_raised_at_the_end() -> None:
    images = torch.full((2, 3, 4, 4), 0.5)
    seen = []

    def loss(x: torch.Tensor) -> torch.Tensor:
        seen.append(len(x))
        moved = (x - images).detach().abs().amax()
        refuse(moved > 0, lambda: ValueError(f"moved by {float(moved):.3f}"))
        return x.flatten(1).sum(1)

    with pytest.raises(ValueError, match=r"moved by 0\.020"):
        PGD(THREAT, steps=5, step_size=0.1, start="clean")(loss, images)
    assert len(seen) == 7, "the clean images, five steps, and the end"


def test_checks_are_looked_at_in_their_order() -> None:
    pending = Pending()
    with pending.gathering():
        for i, bad in enumerate([False, True, True]):
            refuse(torch.tensor(bad), lambda i=i: ValueError(str(i)))
    assert str(pending.first()) == "1"
    assert pending.first() is None
    with pytest.raises(ValueError, match="now"):
        refuse(torch.tensor(True), lambda: ValueError("now"))


@pytest.mark.parametrize("attack", [FGSM(THREAT), Fast(THREAT, steps=4)], ids=lambda attack: attack.name)
def test_other_attacks_wait_a_few_times(attack: Attack) -> None:
    model = Linear(4, (3, 4, 4), 8)
    assert waits(attack, model.goal(), model.images) <= 40
