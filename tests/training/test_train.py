"""Training: what lands on the disk, and what the options of a run do."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from run_state import state_of
from short_runs import RECIPE

from robustfeat.attacks import Threat
from robustfeat.backbones.architecture import Architecture
from robustfeat.backbones.network import new_network
from robustfeat.data import dataset
from robustfeat.features import hub
from robustfeat.features.card import Card, ModelRef
from robustfeat.features.recipe import Recipe
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.types import Losses
from robustfeat.objectives import AdversarialTraining, Natural, Objective, Views
from robustfeat.runtime.errors import DivergedError
from robustfeat.training import checkpoint
from robustfeat.training.heldout import measure
from robustfeat.training.loop import train


def test_accumulated_parts_make_one_batch(tmp_path: Path) -> None:
    """Without augmentation and attack, 4 parts of 8 give the loss and the step of one batch of 32, up to rounding."""
    recipe = dataclasses.replace(RECIPE, max_steps=2, crop=0, flip=False, cutout=0, student="resnet_tiny")

    class Still(Natural):
        """Batch norm sees parts, so it is kept still."""

        def forward(self, views: Views) -> Losses:
            views.student.eval()
            return super().forward(views)

    for parts in (1, 4):
        train(Still(), dataclasses.replace(recipe, accumulate=parts), tmp_path / str(parts), quiet=True)
    one, four = (state_of(tmp_path / str(parts)) for parts in (1, 4))
    for key in one:
        if "student" in key:
            torch.testing.assert_close(one[key], four[key], atol=1e-5, rtol=1e-4)
    logged = [
        [json.loads(line) for line in (tmp_path / parts / "log.jsonl").read_text().splitlines()] for parts in ("1", "4")
    ]
    ce = [[line["ce"] for line in lines if "ce" in line] for lines in logged]
    assert ce[0] == pytest.approx(ce[1], rel=1e-5)


def test_a_start_with_another_head_keeps_its_normalisation(teacher: str, tmp_path: Path) -> None:
    network, _ = hub.load_network(teacher)
    small = dataclasses.replace(network.architecture, classes=3, mean=(0.1, 0.2, 0.3))
    hub.save(tmp_path / "start", new_network(small), Card("start", small, network.feature_dim))
    recipe = dataclasses.replace(RECIPE, student="cnn_small", start=str(tmp_path / "start"), max_steps=1)
    trained, card = hub.load_network(train("natural", recipe, tmp_path / "run", quiet=True))
    assert card.start == ModelRef("start", hub.read_card(tmp_path / "start").weights.sha256)
    assert trained.architecture.mean == (0.1, 0.2, 0.3)
    assert trained.architecture.classes == 10


def test_the_student_is_that_of_the_start(teacher: str, tmp_path: Path) -> None:
    """Architecture, stem and image size need not be said; what is said otherwise is refused."""
    start = Architecture("resnet_tiny", "timm", 10, 12)
    hub.save(tmp_path / "start", new_network(start), Card("start", start, 0))
    recipe = Recipe(
        data="digits", start=str(tmp_path / "start"), max_steps=1, batch_size=8, eval_images=10, eval_steps=1
    )
    card = hub.read_card(train("natural", recipe, tmp_path / "run", quiet=True))
    assert (card.architecture.name, card.architecture.stem, card.architecture.image_size) == ("resnet_tiny", "timm", 12)
    assert card.recipe is not None
    assert (card.recipe.student, card.recipe.stem, card.recipe.image_size) == ("resnet_tiny", "timm", 12)
    for other in ({"student": "resnet18"}, {"stem": "small"}):
        with pytest.raises(ValueError, match="the same, so leave student and stem out"):
            train("natural", dataclasses.replace(recipe, **other), tmp_path / "other", quiet=True)
    plain = hub.read_card(Path(teacher)).recipe
    assert plain is not None
    assert plain.student == "cnn_small"


def test_a_loss_that_is_not_finite_names_step_and_term(tmp_path: Path) -> None:
    class Broken(Natural):
        steps = 0

        def forward(self, views: object) -> Losses:
            self.steps += 1
            losses = super().forward(views)  # type: ignore[arg-type]
            return Losses({"ce": losses.terms["ce"] * (float("nan") if self.steps == 4 else 1)}, {})

    with pytest.raises(DivergedError, match=r"'ce' became nan at step 3"):
        train(Broken(), RECIPE, tmp_path, quiet=True)
    path, _ = checkpoint.latest(tmp_path / "checkpoints")
    assert path is not None
    assert path.name == "000000003"


@pytest.mark.parametrize(
    "options", [{"precision": "bf16"}, {"optimizer": "adamw", "clip": 1.0}, {"minutes": 0.02, "max_steps": None}]
)
def test_options_run(options: dict[str, object], tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, channels_last=True, **options)  # type: ignore[arg-type]
    extractor = hub.load(train(AdversarialTraining(), recipe, tmp_path, quiet=True))
    assert extractor.card.objective == "at"
    assert extractor.card.threat == "linf 0.1"


def test_minutes_are_kept(tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, minutes=0.05, max_steps=None, checkpoint_minutes=60, eval_epochs=100)
    train("natural", recipe, tmp_path, quiet=True)
    path, _ = checkpoint.latest(tmp_path / "checkpoints")
    assert path is not None
    assert 3 <= checkpoint.read(path).state["seconds"] < 30


@pytest.mark.parametrize("objective", [AdversarialTraining(), Natural()], ids=["at", "natural"])
def test_the_best_weights_have_the_best_held_out_accuracy(objective: Objective, tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, ema=0.0, max_steps=20, eval_images=40)
    best = train(objective, recipe, tmp_path, quiet=True)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    measured = [line for line in lines if "held_out_clean" in line]
    assert len(measured) > 3
    key = (
        (lambda m: (m["held_out_robust"], m["held_out_clean"]))
        if objective.robust
        else (lambda m: (m["held_out_clean"],))
    )
    card = hub.read_card(best)
    assert key(card.training.as_dict()) == max(key(m) for m in measured)
    network, _ = hub.load_network(best)
    held_out = dataset("digits", "train[200:240]")
    again = measure(network, held_out, Threat("linf", Eps(0.1)), 2, batch_size=32, seed=0)
    assert again.clean == card.training.held_out_clean
    assert again.robust == card.training.held_out_robust


def test_any_accelerate_tracker(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    train("natural", dataclasses.replace(RECIPE, max_steps=2), tmp_path, log_with="tensorboard", quiet=True)
    assert list(tmp_path.rglob("events.out.tfevents*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "options"), [("at", {}), ("trades", {"channels_last": True}), ("at", {"accumulate": 2})]
)
def test_a_compiled_student_learns_the_same(objective: str, options: dict[str, Any], tmp_path: Path) -> None:
    """Log by log, with the passes of the attack compiled as well: one graph for training and one for the attack, or two."""
    recipe = dataclasses.replace(RECIPE, max_steps=4, eval_epochs=100, **options)
    torch._dynamo.reset()
    counted = torch._dynamo.utils.counters
    counted.clear()
    for compiled in (False, True):
        train(objective, dataclasses.replace(recipe, compile=compiled), tmp_path / str(compiled), quiet=True)
    assert counted["stats"]["unique_graphs"] == (3 if objective == "trades" else 2), "TRADES looks without gradient too"
    logs = [
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("False", "True")
    ]
    terms = [[line[name] for line in lines for name in ("ce", "kl") if name in line] for lines in logs]
    assert len(terms[0]) >= 4
    assert terms[0] == pytest.approx(terms[1], abs=1e-5)
    a, b = (hub.load_network(tmp_path / name / "last")[0].state_dict() for name in ("False", "True"))
    assert a.keys() == b.keys()


@pytest.mark.slow
def test_a_compiled_student_in_half_precision(tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, max_steps=3, precision="bf16", channels_last=True)
    plain, fast = (
        train("at", dataclasses.replace(recipe, compile=compiled), tmp_path / str(compiled), quiet=True)
        for compiled in (False, True)
    )
    first = [json.loads((path.parent / "log.jsonl").read_text().splitlines()[0])["ce"] for path in (plain, fast)]
    assert first[0] == pytest.approx(first[1], abs=0.02)


def test_a_compiled_attack_asks_for_no_gradient_of_the_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = set()

    def compiled(function: Any, **_: Any) -> Any:
        def call(x: torch.Tensor) -> torch.Tensor:
            model = function.__self__
            asked.add((model.training, any(p.requires_grad for p in model.parameters())))
            return function(x)

        return call

    monkeypatch.setattr(torch, "compile", compiled)
    train("at", dataclasses.replace(RECIPE, max_steps=2, compile=True), tmp_path, quiet=True)
    assert asked == {(True, True), (False, False)}
