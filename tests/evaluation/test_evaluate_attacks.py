"""Attacks in `evaluate`: a stronger one is never weaker, a transferred one is between noise and white box."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from patterns import HEADLINE, TEST, TRAIN, WEAK, run

from robustfeat.attacks import PGD, Noise, Threat, Transfer
from robustfeat.evaluation import evaluate, ladder
from robustfeat.features.card import Card
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.eps import Eps
from robustfeat.testing import small_network


@pytest.mark.usefixtures("no_intervals")
def test_more_of_pgd_is_not_weaker(extractor: FeatureExtractor) -> None:
    """The stronger attack passes through every point of the weaker one, so this holds exactly."""
    gentle = dataclasses.replace(WEAK, threat=Threat("linf", Eps("2/255")), step_size=Eps("1/255"))
    weak = run(extractor, [gentle])
    for stronger in (dataclasses.replace(gentle, restarts=3), dataclasses.replace(gentle, steps=9)):
        strong = run(extractor, [stronger])
        for task, metric in HEADLINE.items():
            assert strong.value(task, metric, "pgd") <= weak.value(task, metric, "pgd"), (task, stronger)


@pytest.mark.usefixtures("no_intervals")
@pytest.mark.parametrize("task", ["retrieval", "anomaly", "anomaly:knn"])
def test_every_kind_of_task_can_be_transferred(extractor: FeatureExtractor, task: str) -> None:
    network = small_network(5)
    source = FeatureExtractor(network, Card("source", network.architecture, network.feature_dim))
    attacks = {"own": WEAK, "transferred": Transfer(WEAK.threat, WEAK, source)}
    report = evaluate(extractor, [task], TRAIN, TEST, attacks, progress=False, examined=0)
    own, transferred = (report.value(task, HEADLINE[task], name) for name in attacks)
    assert own <= transferred <= report.value(task, HEADLINE[task])


def test_transfer_is_between_noise_and_white_box(extractor: FeatureExtractor) -> None:
    """From the model itself it is the attack itself; from another model it is weaker than that, and no weaker than noise."""
    network = small_network(7)
    other = FeatureExtractor(network, Card("other", network.architecture, network.feature_dim))
    attack = PGD(Threat("linf", Eps("16/255")), steps=10)
    attacks = {
        "white": attack,
        "own": Transfer(attack.threat, attack, extractor),
        "other": Transfer(attack.threat, attack, other),
        "noise": Noise(attack.threat, samples=2),
    }
    report = evaluate(extractor, ["probe"], TRAIN, TEST, attacks, progress=False, examined=0)
    white, own, transferred, noise = (report.value("probe", "accuracy", name) for name in attacks)
    assert own == pytest.approx(white, abs=0.05)  # other random starts
    assert white < transferred <= noise
    with pytest.raises(ValueError, match="make them equal"):
        Transfer(Threat("linf", 0.5), attack, other)
    with pytest.raises(ValueError, match="needs one from `evaluate`"):
        Transfer(attack.threat, attack, other)(lambda x: x.flatten(1).sum(1), torch.full((2, 3, 8, 8), 0.5))


def test_a_ladder_only_falls(extractor: FeatureExtractor) -> None:
    """Each rung starts from what the one before found, so that a metric that its aim decides cannot rise again."""
    attack = PGD(Threat("linf", Eps("8/255")), steps=2)
    rungs = ladder(attack, [Eps(f"{n}/255") for n in (8, 2, 1, 4)])
    assert [rung.threat.eps for rung in rungs] == [n / 255 for n in (1, 2, 4, 8)]
    assert [rung.step_size for rung in rungs] == pytest.approx([1.25 * rung.threat.eps for rung in rungs])  # type: ignore[attr-defined]
    report = evaluate(
        extractor, ["probe", "retrieval"], TRAIN, TEST, {"pgd": rungs}, batch_size=16, progress=False, examined=0
    )
    for task, metric in (("probe", "accuracy"), ("retrieval", "recall@1")):
        values = [report.value(task, metric, "pgd", Eps(f"{n}/255")) for n in (1, 2, 4, 8)]
        assert values == sorted(values, reverse=True)
        assert values[0] > values[-1], "too easy to tell anything"
    backwards = [ran.backwards for ran in report.runs if ran.task == "probe"]
    assert backwards[-1] < backwards[0], "what a smaller eps has broken is not attacked again"
    with pytest.raises(ValueError, match="growing eps"):
        evaluate(extractor, ["probe"], TRAIN, TEST, {"pgd": rungs[::-1]}, progress=False)
