"""Measuring on a GPU: the decisions of the CPU, AutoAttack, searches, and the published models in the layout that is fast."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from repository import ROOT

from robustfeat.attacks import APGD, FGSM, PGD, Attack, AutoAttack, Noise, Square, Threat
from robustfeat.backbones.network import Network
from robustfeat.data import MemoryImages
from robustfeat.evaluation import evaluate
from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import generator
from robustfeat.tasks import TASKS, AdversarialProbe, LinearProbe, Mahalanobis, Task
from robustfeat.testing import small_network
from robustfeat.training.heads import fit_head
from robustfeat.training.heldout import measure

THREAT = Threat("linf", Eps("8/255"))
PUBLISHED = sorted(path.parent for path in (ROOT / "pretrained").glob("*/card.json"))
Data = tuple[MemoryImages, MemoryImages]


def fitted(data: Data) -> Network:
    network = small_network(0, "cnn_small")
    fit_head(network, data[0])
    return network


def extractor_on(device: str, network: Network) -> FeatureExtractor:
    return FeatureExtractor(network, Card("patterns", network.architecture, network.feature_dim)).to(device)


@pytest.mark.parametrize(
    "attack",
    [PGD(THREAT, steps=10), APGD(THREAT, steps=10), FGSM(THREAT), Square(THREAT, queries=50), Noise(THREAT, samples=5)],
    ids=lambda attack: attack.name,
)
def test_evaluate_decides_as_on_the_cpu(attack: Attack, data: Data, device: str) -> None:
    """Within one of 64 images; Square and Noise draw from another generator there, and are but to run and not to be wrong."""
    reports = []
    for where in ("cpu", device):
        extractor = extractor_on(where, fitted(data))
        reports.append(evaluate(extractor, [LinearProbe()], *data, [attack], batch_size=32, progress=False))
    clean, attacked = (
        [report.value("probe", "accuracy", name) for report in reports] for name in ("none", attack.name)
    )
    within = 1 if attack.name in ("pgd", "apgd", "fgsm") else 6
    assert abs(clean[0] - clean[1]) <= 1 / 64 + 1e-6
    assert abs(attacked[0] - attacked[1]) <= within / 64 + 1e-6
    assert attacked[1] <= clean[1]


@pytest.mark.parametrize(
    "task", [Mahalanobis(), AdversarialProbe(THREAT, steps=2, epochs=1)], ids=lambda task: task.name
)
def test_other_tasks_run(task: Task, data: Data, device: str) -> None:
    learnt, tested = data
    if isinstance(task, Mahalanobis):
        learnt = learnt.take((learnt.require_labels() == 0).nonzero().squeeze(1))
        tested = MemoryImages("patterns", tested.images, (tested.require_labels() > 0).long())
    report = evaluate(
        extractor_on(device, fitted(data)), [task], learnt, tested, [PGD(THREAT, steps=3)], progress=False
    )
    assert all(0 <= row.value <= 1 for row in report.rows)


def test_held_out_accuracy_is_that_of_the_cpu(data: Data, device: str) -> None:
    network = fitted(data)
    there = measure(network, data[1], THREAT, 3, batch_size=32, seed=0)
    here = measure(network.to(device), data[1], THREAT, 3, batch_size=32, seed=0)
    assert abs(there.clean - here.clean) <= 1 / 64
    assert abs(there.robust - here.robust) <= 2 / 64, "the random starts are others"


def test_a_head_is_fitted_where_the_network_is(data: Data, device: str) -> None:
    network = small_network(0, "cnn_small").to(device)
    fit_head(network, data[0])
    torch.testing.assert_close(network.head.weight.cpu(), fitted(data).head.weight, rtol=1e-2, atol=1e-3)


def test_autoattack_runs(data: Data, device: str) -> None:
    pytest.importorskip("pyautoattack")
    learnt, tested = data[0], data[1].head(8)
    report = evaluate(
        extractor_on(device, fitted(data)), [LinearProbe()], learnt, tested, [AutoAttack(THREAT)], progress=False
    )
    assert 0 <= report.value("probe", "accuracy", "autoattack") <= report.value("probe", "accuracy", "none")


@pytest.mark.parametrize("name", ["retrieval", "knn-probe"])
def test_searches_are_those_of_the_cpu(name: str, data: Data, device: str) -> None:
    faiss = pytest.importorskip("faiss")
    if device == "cuda" and faiss.get_num_gpus() == 0:
        pytest.skip("FAISS has no GPU here")
    attacks = [PGD(THREAT, steps=3)]
    reports = [
        evaluate(extractor_on(where, fitted(data)), [TASKS[name]()], *data, attacks, progress=False)
        for where in ("cpu", device)
    ]
    for one, two in zip(*(report.rows for report in reports), strict=True):
        assert abs(one.value - two.value) <= 2 / 64, (one, two)


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda folder: folder.name)
def test_published_models_keep_their_layout_and_fit_in_memory(folder: Path, device: str) -> None:
    network, card = hub.load_network(folder)
    side = card.architecture.image_size
    images = torch.rand(8, 3, side, side, generator=generator(0))
    with torch.no_grad():
        expected = network.eval()(images)
        moved = network.to(device).to(memory_format=torch.channels_last)
        found = moved(images.to(device, memory_format=torch.channels_last))
        maps = moved.model.forward_features(
            (images.to(device, memory_format=torch.channels_last) - moved.mean) / moved.std
        )
    torch.testing.assert_close(found.features.cpu(), expected.features, rtol=1e-3, atol=1e-3)
    assert torch.equal(found.logits.argmax(1).cpu(), expected.logits.argmax(1))
    assert maps.is_contiguous(memory_format=torch.channels_last)
    weights = [weight for weight in moved.parameters() if weight.ndim == 4]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        many = torch.rand(1024, 3, side, side, generator=generator(1))
        FeatureExtractor(moved, card).transform(many)
        assert torch.cuda.max_memory_allocated() < 4 * 2**30
