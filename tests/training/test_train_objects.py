"""Training on objects is training on what they hold: the same bits as by name, known by digest, and never changed."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from short_runs import RECIPE, distil
from torch import Tensor, nn

import robustfeat
from robustfeat.data import ImageDataset, MemoryImages, dataset
from robustfeat.features import hub
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.features.patches import PatchExtractor
from robustfeat.objectives import GACD
from robustfeat.testing import small_network
from robustfeat.training.loop import train

SHORT = dataclasses.replace(RECIPE, max_steps=3)


def gacd(recipe: robustfeat.Recipe, out: Path, **given: Any) -> Path:
    return train(GACD(bank=16, symmetric=True), recipe, out, quiet=True, **given)


def weights(folder: Path) -> dict[str, Tensor]:
    return hub.load_network(folder)[0].state_dict()


def assert_same_weights(one: Path, two: Path) -> None:
    for name in ("best", "last"):
        first, second = weights(one / name), weights(two / name)
        assert all(torch.equal(value, second[key]) for key, value in first.items())


@pytest.fixture(scope="module")
def digits() -> ImageDataset:
    return dataset("digits")


@pytest.fixture(scope="module")
def by_objects(digits: ImageDataset, teacher: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("objects")
    return gacd(SHORT, out, data=digits, teacher=robustfeat.load(teacher)).parent


def test_data_and_teacher_as_by_name(by_objects: Path, teacher: str, tmp_path: Path) -> None:
    distil(teacher, tmp_path, max_steps=3)
    assert_same_weights(tmp_path, by_objects)
    named, given = (hub.read_card(folder / "best") for folder in (tmp_path, by_objects))
    assert given.data == named.data, "the part that is learnt from is the same"
    assert given.training.held_out_robust == named.training.held_out_robust


def test_recipe_and_card_say_what_it_was(by_objects: Path, digits: ImageDataset, teacher: str) -> None:
    card = hub.read_card(by_objects / "best")
    assert card.recipe is not None
    digest = robustfeat.load(teacher).digest()
    assert card.recipe.data == f"object digits sha256:{digits.fingerprint[:16]}"
    assert card.recipe.teacher == f"object {hub.read_card(Path(teacher)).name} sha256:{digest[:16]}"
    assert card.recipe.objects == ("data", "teacher")
    assert card.teacher is not None
    assert card.teacher.sha256 == digest
    assert "Given as objects in Python, so that a command has no name for them: data, teacher." in card.readme()
    assert SHORT.objects == ()


@pytest.mark.parametrize("kind", ["network", "extractor"])
def test_a_student_goes_on_from_its_weights(kind: str, teacher: str, digits: ImageDataset, tmp_path: Path) -> None:
    extractor = robustfeat.load(teacher)
    given = extractor if kind == "extractor" else extractor.network
    recipe = dataclasses.replace(SHORT, student="cnn_small")
    train("at", dataclasses.replace(recipe, start=teacher), tmp_path / "named", quiet=True)
    # The architecture is the object's, whatever the recipe says of a student.
    train(
        "at",
        dataclasses.replace(recipe, student="resnet18"),
        tmp_path / "given",
        student=given,
        data=digits,
        quiet=True,
    )
    assert_same_weights(tmp_path / "named", tmp_path / "given")
    card = hub.read_card(tmp_path / "given" / "best")
    assert card.architecture.name == "cnn_small"
    assert card.start is not None
    assert card.start.sha256 == extractor.digest()


def test_objects_are_left_as_they_were(digits: ImageDataset, tmp_path: Path) -> None:
    student = small_network(3, classes=10).train().requires_grad_(False)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    train("natural", dataclasses.replace(SHORT, max_steps=2), tmp_path, student=student, data=digits, quiet=True)
    assert student.training
    assert not any(parameter.requires_grad for parameter in student.parameters())
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())
    trained = weights(tmp_path / "last")
    assert not all(torch.equal(value, before[name]) for name, value in trained.items()), "nothing was learnt"


def test_another_object_does_not_resume(by_objects: Path, digits: ImageDataset, teacher: str, tmp_path: Path) -> None:
    other = MemoryImages("digits", dataset("digits").images.clone(), digits.labels, digits.classes)  # type: ignore[attr-defined]
    other.images[-1, 0, 0, 0] ^= 1  # an image that no split of the recipe has
    extractor = robustfeat.load(teacher)
    with torch.no_grad():
        next(iter(extractor.parameters())).view(-1)[0] += 1e-3
    longer = dataclasses.replace(SHORT, max_steps=4)
    good: dict[str, Any] = {"data": digits, "teacher": robustfeat.load(teacher)}
    for changed, message in (
        ({"data": other}, r"data was 'object digits sha256:\w+' and is 'object digits sha256"),
        ({"teacher": extractor}, "teacher weights was"),
        ({"student": small_network(0, classes=10)}, "start"),
    ):
        with pytest.raises(ValueError, match=message):
            gacd(longer, by_objects, resume=True, **good | changed)
    shutil.copytree(by_objects, tmp_path / "same")
    gacd(longer, tmp_path / "same", resume=True, **good)
    assert hub.read_card(tmp_path / "same" / "best").training.steps == 4


def test_objects_that_do_not_fit(digits: ImageDataset, teacher: str, tmp_path: Path) -> None:
    extractor = robustfeat.load(teacher)
    cases: list[tuple[dict[str, Any], dict[str, Any], type[Exception], str]] = [
        ({}, {"data": torch.zeros(3, 3, 8, 8)}, TypeError, "data must be an ImageDataset, got Tensor"),
        ({}, {"student": nn.Identity()}, TypeError, "student must be a Network, or a FeatureExtractor .* got Identity"),
        ({}, {"teacher": PatchExtractor(extractor)}, TypeError, "teacher must be .* got PatchExtractor"),
        ({"image_size": 16}, {"data": digits}, ValueError, "image_size is 16, and data .* has 8 pixels"),
        ({"label": "y"}, {"data": digits}, ValueError, "image and label are columns of a file"),
        ({"held_out": "test[:20]"}, {"data": digits}, ValueError, "are of different splits"),
        ({"train": "train[2000:]"}, {"data": digits}, ValueError, "is empty"),
        (
            {"teacher": teacher},
            {"teacher": extractor},
            ValueError,
            "the recipe has teacher .*, and an object was given",
        ),
        ({"start": teacher}, {"student": extractor}, ValueError, "the recipe has start .*, and an object was given"),
    ]
    for changes, given, error, message in cases:
        with pytest.raises(error, match=message):
            gacd(dataclasses.replace(SHORT, **changes), tmp_path, **{"teacher": extractor} | given)


def test_images_without_labels(digits: ImageDataset, teacher: str, tmp_path: Path) -> None:
    """No held-out accuracy, and no need of it."""
    plain = MemoryImages("plain", digits.pixels(torch.arange(240)), None)
    recipe = dataclasses.replace(SHORT, student="cnn_small")
    out = train("fare", recipe, tmp_path, data=plain, teacher=robustfeat.load(teacher), quiet=True)
    assert hub.read_card(out).head == "none"
    assert isinstance(robustfeat.load(out), FeatureExtractor)
