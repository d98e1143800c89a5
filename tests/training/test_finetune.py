"""Fine-tuning starts from the model, moves all of it, and makes it more robust on the new data."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from robustfeat import fine_tune
from robustfeat.attacks import PGD, Threat
from robustfeat.data import dataset
from robustfeat.evaluation import evaluate
from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.numerics.eps import Eps
from robustfeat.testing import small_network

SMALL = {
    "train": "train[:400]",
    "held_out": "train[400:450]",
    "eps": Eps("0.05"),
    "crop": 1,
    "flip": False,
    "eval_images": 50,
}


def saved(folder: Path) -> str:
    network = small_network(0, classes=10)
    hub.save(folder, network, Card("start", network.architecture, network.feature_dim))
    return str(folder)


def test_it_starts_from_the_model(tmp_path: Path) -> None:
    """With a rate of nearly 0 the weights stay; only batch statistics may move."""
    start = saved(tmp_path / "start")
    best = fine_tune(start, "digits", tmp_path / "aff", max_steps=1, lr=1e-12, **SMALL)
    before, after = (hub.load(folder).network.state_dict() for folder in (start, best))
    weights = [name for name in before if "running" not in name and "num_batches" not in name]
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in weights)
    card = hub.read_card(best)
    assert card.objective == "at"
    assert card.recipe is not None
    assert (card.recipe.start, card.recipe.weight_decay, card.recipe.schedule) == (start, 2e-4, "multistep")


def test_all_of_it_is_tuned_and_pays(tmp_path: Path) -> None:
    start = saved(tmp_path / "start")
    best = fine_tune(start, "digits", tmp_path / "aff", max_steps=40, lr=0.1, steps=2, **SMALL)
    before, after = (hub.load(folder) for folder in (start, best))
    moved = [not torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True)]
    assert all(moved)
    train, test = dataset("digits", "train[:400]", image_size=8), dataset("digits", "test[:60]", image_size=8)
    attack = PGD(Threat("linf", 0.05), steps=5)
    frozen = evaluate(before, ["probe"], train, test, [attack], progress=False, examined=0)
    tuned = evaluate(after, ["head"], train, test, [attack], progress=False, examined=0)
    assert tuned.value("head", "accuracy", "pgd") > frozen.value("probe", "accuracy", "pgd") + 0.1


def test_what_it_can_not_start_from(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="unknown model 'nobody'"):
        fine_tune("nobody", "digits", tmp_path)
    with pytest.raises(TypeError, match="no_such_entry"):
        fine_tune(saved(tmp_path / "start"), "digits", tmp_path / "aff", no_such_entry=1)
