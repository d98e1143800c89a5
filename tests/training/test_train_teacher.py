"""The teacher of a run: known by its weights, asked once where its answers stay the same, and named in the card."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from run_state import assert_same
from short_runs import RECIPE, Killed, distil, stop_after

from robustfeat.attacks import Threat
from robustfeat.data import dataset
from robustfeat.features import hub
from robustfeat.numerics.eps import Eps
from robustfeat.objectives import Views
from robustfeat.training.heldout import measure
from robustfeat.training.loop import train


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


def test_students_without_a_head_keep_the_teachers_where_it_is_best_on_held_out_images(
    teacher: str, uninterrupted: Path
) -> None:
    network, card = hub.load_network(uninterrupted / "best")
    theirs, _ = hub.load_network(teacher)
    found = card.training.heads
    assert list(found) == ["teacher", "linear"]
    assert (found["teacher"].robust, found["teacher"].clean) >= (found["linear"].robust, found["linear"].clean)
    assert card.head == "teacher"
    assert torch.equal(network.head.weight, theirs.head.weight)
    again = measure(network, dataset("digits", "train[200:220]"), Threat("linf", Eps(0.1)), 2, batch_size=32, seed=0)
    assert again == found["teacher"]
    assert again == (card.training.held_out_clean, card.training.held_out_robust)
    assert torch.equal(hub.load_network(uninterrupted / "last")[0].head.weight, theirs.head.weight)


@pytest.mark.parametrize("head", ["linear", "adversarial"])
def test_a_head_that_is_asked_for(head: str, teacher: str, uninterrupted: Path, tmp_path: Path) -> None:
    """The features are those of the other run to the bit."""
    distil(teacher, tmp_path, head=head)
    (asked, card), (best, _) = (hub.load_network(run / "last") for run in (tmp_path, uninterrupted))
    assert card.head == hub.read_card(tmp_path / "best").head == head
    images = dataset("digits", "test[:8]").batch(torch.arange(8)).images
    with torch.no_grad():
        assert torch.equal(asked.features(images), best.features(images))
    assert not torch.equal(asked.head.weight, best.head.weight)


def test_a_teacher_of_other_classes_has_no_head_to_give(tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, teacher="timm:cnn_small", head="teacher")
    with pytest.raises(ValueError, match="head='teacher' needs a teacher with a head for the classes of the data"):
        train("fitnet", recipe, tmp_path, quiet=True)


def test_a_student_of_another_width_has_three_heads_to_choose_from(teacher: str, tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, teacher=teacher, student="resnet_tiny", max_steps=2)
    card = hub.read_card(train("gacd", recipe, tmp_path, quiet=True))
    assert set(card.training.heads) == {"teacher", "linear", "adversarial"}
    assert card.head == next(iter(card.training.heads))


def test_what_card_and_log_say(teacher: str, uninterrupted: Path) -> None:
    card = hub.read_card(uninterrupted / "best")
    assert card.options["bank"] == 16
    assert card.teacher.sha256 == hub.read_card(Path(teacher)).weights.sha256
    assert card.training.heads["linear"].clean > 0.2
    line = json.loads((uninterrupted / "log.jsonl").read_text().splitlines()[0])
    assert {"gacd", "lr", "images_per_s", "eta_s", "weight", "mutual_information", "weight_histogram"} <= line.keys()
    assert sum(line["weight_histogram"]) == 32
