"""Training: what lands on the disk, and that interrupted and uninterrupted runs end in the same bits."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
from pathlib import Path

import pytest
import torch
from run_state import assert_same, state_of

from robustfeat import checkpoint, hub
from robustfeat.attacks import Threat
from robustfeat.card import Card
from robustfeat.data import dataset
from robustfeat.errors import DivergedError, IntegrityError, InterruptedTraining
from robustfeat.heldout import measure
from robustfeat.network import new_network
from robustfeat.objectives import GACD, AdversarialTraining, Natural, Objective, Views
from robustfeat.recipe import Recipe
from robustfeat.train import Loop, train
from robustfeat.types import Eps, Losses

RECIPE = Recipe(
    data="digits",
    train="train[:200]",
    held_out="train[200:240]",
    student="cnn_tiny",
    stem="timm",
    eps=Eps(0.1),
    steps=2,
    max_steps=9,
    batch_size=32,
    crop=1,
    cutout=2,
    ema=0.9,
    eval_epochs=0.5,
    eval_images=20,
    eval_steps=2,
    checkpoint_minutes=0,
    log_steps=1,
    channels_last=False,
)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    recipe = dataclasses.replace(RECIPE, student="cnn_small", max_steps=3)
    return str(train("at", recipe, tmp_path_factory.mktemp("teacher"), quiet=True))


def distil(teacher: str, out: Path, *, resume: bool = False, **changes: object) -> Path:
    recipe = dataclasses.replace(RECIPE, teacher=teacher, **changes)  # type: ignore[arg-type]
    return train(GACD(bank=16, symmetric=True), recipe, out, resume=resume, quiet=True)


class Killed(BaseException): ...


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int, error: type[BaseException]) -> None:
    original = Loop._step
    done = {"steps": 0}

    def step(self: Loop, parts: object) -> None:
        if done["steps"] == steps:
            raise error
        done["steps"] += 1
        original(self, parts)  # type: ignore[arg-type]

    monkeypatch.setattr(Loop, "_step", step)


@pytest.fixture(scope="module")
def uninterrupted(teacher: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("uninterrupted")
    distil(teacher, out)
    return out


@pytest.mark.parametrize("steps", [1, 4, 8])
def test_a_killed_run_ends_in_the_same_bits(
    teacher: str, uninterrupted: Path, tmp_path: Path, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, steps, Killed)
        with pytest.raises(Killed):
            distil(teacher, tmp_path)
    distil(teacher, tmp_path, resume=True)
    assert_same(uninterrupted, tmp_path)
    logs = [
        [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()] for out in (uninterrupted, tmp_path)
    ]
    for line in (*logs[0], *logs[1]):
        line.pop("images_per_s", None), line.pop("eta_s", None)
    assert logs[0] == logs[1]


def test_ctrl_c_saves_and_says_so(
    teacher: str, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Loop._step

    def step(self: Loop, parts: object) -> None:
        original(self, parts)  # type: ignore[arg-type]
        if self.run.step == 5:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_step", step)
        with pytest.raises(InterruptedTraining, match="step 5"):
            distil(teacher, tmp_path, checkpoint_minutes=60)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    distil(teacher, tmp_path, resume=True, checkpoint_minutes=60)
    assert_same(uninterrupted, tmp_path)


def test_a_damaged_checkpoint_is_passed_over(
    teacher: str, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, 6, Killed)
        with pytest.raises(Killed):
            distil(teacher, tmp_path)
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1]
    weights = newest / "student.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    distil(teacher, tmp_path, resume=True)
    assert_same(uninterrupted, tmp_path)


def test_resume_without_a_checkpoint_starts_from_the_beginning(
    teacher: str, uninterrupted: Path, tmp_path: Path
) -> None:
    distil(teacher, tmp_path, resume=True)
    assert_same(uninterrupted, tmp_path)


def test_resume_of_another_run_is_refused(teacher: str, uninterrupted: Path) -> None:
    with pytest.raises(ValueError, match=r"lr was 0\.1 and is 0\.2"):
        distil(teacher, uninterrupted, resume=True, lr=0.2)
    with pytest.raises(FileExistsError, match="holds a run already"):
        distil(teacher, uninterrupted)


def test_a_teacher_is_known_by_its_weights(teacher: str, tmp_path: Path) -> None:
    """Also one without a file of ours, and wherever it lies."""
    distil("timm:cnn_small", tmp_path / "timm", max_steps=1)
    with pytest.raises(ValueError, match="teacher weights was"):
        distil("timm:cnn_tiny", tmp_path / "timm", max_steps=1, resume=True)
    distil(teacher, tmp_path / "moved", max_steps=1)
    shutil.copytree(teacher, tmp_path / "elsewhere")
    distil(str(tmp_path / "elsewhere"), tmp_path / "moved", max_steps=2, resume=True)


def test_a_known_teacher_teaches_the_same(teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {"crop": 0, "flip": False, "cutout": 0, "max_steps": 2, "ema": 0.0}
    distil(teacher, tmp_path / "asked", **plain)
    distil(teacher, tmp_path / "known", cache_teacher=True, **plain)
    asked, known = (hub.load_network(tmp_path / name / "last")[0].state_dict() for name in ("asked", "known"))
    for name, value in asked.items():
        torch.testing.assert_close(known[name], value, rtol=1e-4, atol=1e-6)
    # Killed, it goes on in the same bits; and the teacher is never asked during a step.
    with monkeypatch.context() as patch:
        stop_after(patch, 1, Killed)
        with pytest.raises(Killed):
            distil(teacher, tmp_path / "killed", cache_teacher=True, **plain)
    with monkeypatch.context() as patch:
        patch.setattr(Views, "_run_teacher", None)
        distil(teacher, tmp_path / "killed", resume=True, cache_teacher=True, **plain)
    assert_same(tmp_path / "known", tmp_path / "killed")
    with pytest.raises(ValueError, match="cache_teacher needs images that are the same in every epoch, and crop 1"):
        distil(teacher, tmp_path / "cropped", cache_teacher=True)


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


def test_the_last_checkpoint_has_the_last_measurement(teacher: str, tmp_path: Path) -> None:
    distil(teacher, tmp_path, max_steps=5, eval_epochs=100)
    path, _ = checkpoint.latest(tmp_path / "checkpoints")
    assert path is not None
    assert checkpoint.read(path).state["best"]["measured_at"] == 5


def test_a_start_with_another_head_keeps_its_normalisation(teacher: str, tmp_path: Path) -> None:
    network, _ = hub.load_network(teacher)
    small = dataclasses.replace(network.architecture, classes=3, mean=(0.1, 0.2, 0.3))
    hub.save(tmp_path / "start", new_network(small), Card("start", small, network.feature_dim))
    recipe = dataclasses.replace(RECIPE, student="cnn_small", start=str(tmp_path / "start"), max_steps=1)
    trained, card = hub.load_network(train("natural", recipe, tmp_path / "run", quiet=True))
    assert card.start == {"name": "start", "sha256": hub.read_card(tmp_path / "start").weights["sha256"]}
    assert trained.architecture.mean == (0.1, 0.2, 0.3)
    assert trained.architecture.classes == 10


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


def test_a_full_disk_loses_nothing(teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distil(teacher, tmp_path, max_steps=4)
    before = state_of(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", full)
        with pytest.raises(OSError, match="no space left on the disk for"):
            distil(teacher, tmp_path, resume=True)
    after = state_of(tmp_path)
    assert all(torch.equal(before[key], after[key]) for key in before if not key.startswith(("best", "last")))
    assert not list((tmp_path / "checkpoints").glob(".*"))


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
    assert key(card.training) == max(key(m) for m in measured)
    network, _ = hub.load_network(best)
    held_out = dataset("digits", "train[200:240]")
    again = measure(network, held_out, Threat("linf", Eps(0.1)), 2, batch_size=32, seed=0)
    assert again.clean == card.training["held_out_clean"]
    assert again.robust == card.training["held_out_robust"]


def test_students_without_a_head_get_a_linear_one(teacher: str, uninterrupted: Path) -> None:
    card = hub.read_card(uninterrupted / "best")
    assert card.head == "linear"
    assert card.options["bank"] == 16
    assert card.teacher["sha256"] == hub.read_card(Path(teacher)).weights["sha256"]
    assert card.training["held_out_clean"] > 0.2
    line = json.loads((uninterrupted / "log.jsonl").read_text().splitlines()[0])
    assert {"gacd", "lr", "images_per_s", "eta_s", "weight", "mutual_information", "weight_histogram"} <= line.keys()
    assert sum(line["weight_histogram"]) == 32


def test_each_file_of_a_checkpoint_is_needed(uninterrupted: Path, tmp_path: Path) -> None:
    path, _ = checkpoint.latest(uninterrupted / "checkpoints")
    assert path is not None
    files = sorted(file.name for file in path.iterdir())
    assert {
        "student.safetensors",
        "objective.safetensors",
        "optimizer.safetensors",
        "average.safetensors",
        "state.json",
    } < set(files)
    for missing in files:
        copy = tmp_path / missing / path.name
        copy.mkdir(parents=True)
        for file in files:
            if file != missing:
                (copy / file).write_bytes((path / file).read_bytes())
        with pytest.raises(IntegrityError):
            checkpoint.read(copy)
        assert checkpoint.latest(copy.parent)[0] is None


def test_any_accelerate_tracker(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    train("natural", dataclasses.replace(RECIPE, max_steps=2), tmp_path, log_with="tensorboard", quiet=True)
    assert list(tmp_path.rglob("events.out.tfevents*"))


@pytest.mark.slow
def test_torch_compile(tmp_path: Path) -> None:
    plain = train("at", dataclasses.replace(RECIPE, max_steps=2), tmp_path / "plain", quiet=True)
    fast = train("at", dataclasses.replace(RECIPE, max_steps=2, compile=True), tmp_path / "compiled", quiet=True)
    a, b = (hub.load_network(path.parent / "last")[0].state_dict() for path in (plain, fast))
    assert a.keys() == b.keys()
    for key in a:
        torch.testing.assert_close(a[key], b[key], atol=1e-2, rtol=1e-2)
