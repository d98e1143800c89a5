"""Cards: what is written comes back, what is damaged is refused, and the page says all there is to know, the command included."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
from command_line import parsed

from robustfeat.attacks.flag import Flag
from robustfeat.backbones.architecture import Architecture
from robustfeat.features.card import Card, Fixture, ModelRef, Training
from robustfeat.features.parts import Weights
from robustfeat.features.recipe import Recipe
from robustfeat.numerics.eps import Eps
from robustfeat.objectives import OBJECTIVES
from robustfeat.report import DataFacts, Ran, Report, Row, Setup, Sized, Splits
from robustfeat.runtime.errors import IntegrityError

EPS = Eps("8/255")
FLAG = Flag("zero gradients", 0.5, 0.02, "of the images had a gradient of exactly 0")


def data(name: str, n: int) -> Splits:
    return Splits(*(DataFacts(name, images, f"{name}{images}" * 8) for images in (50_000, n)))


MAIN = Report(
    "gacd-x",
    data("cifar10", 1000),
    "linf 8/255",
    rows=(
        Row("probe", "accuracy", "none", None, "", 0.81, 0.785, 0.833, 1000, 2.5),
        Row("probe", "accuracy", "standard", EPS, "", 0.5, 0.469, 0.531, 1000, 12.5),
        Row("anomaly", "auroc", "none", None, "", 0.912, 0.9, 0.923, 1000, 1.5),
        Row("anomaly", "auroc", "standard", EPS, "", 0.612, 0.6, 0.623, 1000, 1.5),
        Row("anomaly", "auroc", "standard", EPS, "normal", 0.712, 0.7, 0.723, 1000, 1.5),
    ),
    attacks={Sized("standard", EPS): "Standard(eps=8/255)"},
    environment={"processor": "Some CPU", "threads": 3, "torch": "2.14.1"},
    runs=(
        Ran("probe", "", "standard", EPS, "AutoAttack(eps=8/255)", 9, 9, 0.0, 0.0, 1.0, examined=16),
        Ran("anomaly", "", "standard", EPS, "Worst(APGD, Square)", 9, 9, 0.0, 0.0, 1.0, examined=12),
    ),
    setup=Setup("cifar10"),
)
CURVE = Report(
    "gacd-x",
    data("cifar10", 300),
    "linf 2/255, linf 4/255",
    rows=(
        Row("probe", "accuracy", "none", None, "", 0.82, 0.77, 0.86, 300, 2.5),
        Row("probe", "accuracy", "apgd", Eps("2/255"), "", 0.71, 0.66, 0.76, 300, 2.5),
        Row("probe", "accuracy", "apgd", Eps("4/255"), "", 0.61, 0.55, 0.66, 300, 2.5),
        Row("retrieval", "recall@10", "none", None, "", 0.99, 0.97, 1.0, 300, 2.5),
    ),
    attacks={Sized("apgd", Eps("2/255")): "APGD(eps=2/255)", Sized("apgd", Eps("4/255")): "APGD(eps=4/255)"},
    runs=tuple(Ran("probe", "", "apgd", Eps(f"{k}/255"), "", 9, 9, 0.0, 0.0, 1.0, examined=16) for k in (2, 4)),
)
SECOND = Report(
    "gacd-x",
    data("cifar100", 500),
    "linf 8/255",
    rows=(
        Row("probe", "accuracy", "none", None, "", 0.412, 0.37, 0.455, 500, 2.5),
        Row("probe", "accuracy", "fast", EPS, "", 0.201, 0.168, 0.238, 500, 2.5),
    ),
    attacks={Sized("fast", EPS): "Fast(eps=8/255)"},
    runs=(Ran("probe", "", "fast", EPS, "APGD(eps=8/255)", 9, 9, 0.5, 0.0, 1.0, flags=(FLAG,), examined=16),),
)
CARD = Card(
    "gacd-x",
    Architecture("resnet18", "small"),
    512,
    head="linear",
    threat="linf 8/255",
    objective="gacd",
    options={"tau": 0.1},
    recipe=Recipe(data="cifar10", teacher="at-x", minutes=132, seed=7, eps=Eps("8/255"), step_size=Eps(0.011)),
    data=DataFacts("cifar10", 45000, "feedbeef"),
    teacher=ModelRef("at-x", "abc123"),
    start=ModelRef("natural-x", "abc124"),
    training=Training(
        minutes=132.2,
        step=1000,
        steps=12345,
        epochs=43.21,
        held_out_clean=0.81,
        held_out_robust=0.52,
        images=500,
        processes=2,
        environment={"processor": "Other CPU", "threads": 1, "torch": "2.14.1"},
    ),
    reports=(SECOND, MAIN, CURVE),
    limits=("Knows small photographs only.",),
    fixture=Fixture((0,), ((1.0,), (2.0,)), (1.0, 2.0)),
    weights=Weights("model.safetensors", 1234, "d00d"),
    classes=("cat", "dog"),
)


def test_roundtrip() -> None:
    assert Card.from_json(CARD.to_json()) == CARD
    assert Recipe.from_dict(json.loads(json.dumps(CARD.recipe.as_dict()))) == CARD.recipe  # type: ignore[union-attr]
    assert json.loads(CARD.to_json())["reports"][1]["rows"][1]["value"] == 0.5


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '"x"', "null", '{"format": 99}', CARD.to_json()[:-20],
        CARD.to_json().replace('"format": 4', '"format": 3'), CARD.to_json().replace('"format": 4', '"format": 1'),
        CARD.to_json().replace('"format": 4', '"format": true'),
        CARD.to_json().replace('"name"', '"nombre"', 1),
        CARD.to_json().replace('"recipe": {', '"recipe": {"surprise": 1,'),
        CARD.to_json().replace('"mean": [', '"mean": ["x",'),
        CARD.to_json().replace('"value": 0.5,', '"value": "half",'),
        CARD.to_json().replace('"setup": {}', '"setup": 7'),
        CARD.to_json().replace('"limits": [', '"limits": 7, "x": ['),
    ],
)  # fmt: skip
def test_anything_else_is_an_integrity_error(text: str) -> None:
    with pytest.raises(IntegrityError, match="card"):
        Card.from_json(text)


def test_facts_are_written_as_they_are_known() -> None:
    """Without what is not; what another version knows besides is passed over."""
    heads = {"linear": {"clean": 0.5, "robust": 0.25}, "teacher": {"clean": 0.4, "robust": 0.3}}
    written = {"step": 3, "heads": heads, "minutes": 0.5, "teacher_seconds": 1.5}
    training = Training.from_dict(written | {"phase of the moon": "full"})
    assert training.as_dict() == written
    assert training.heads is not None
    assert (training.heads["teacher"].robust, training.held_out_clean, training.steps) == (0.3, None, None)
    seen = {"name": "digits", "images": 9, "fingerprint": "f", "in train": 2, "note": "Two are known."}
    assert DataFacts.from_dict(seen).as_dict() == seen
    assert DataFacts.from_dict(seen).in_train == 2
    assert list(DataFacts("d", 0, "f", split="train").as_dict().items()) == [
        ("name", "d"), ("split", "train"), ("images", 0), ("fingerprint", "f"),
    ]  # fmt: skip
    bare = json.loads(Card("bare", Architecture("resnet18"), 512).to_json())
    assert {name: bare[name] for name in ("data", "teacher", "start", "training", "fixture", "weights")} == {
        name: {} for name in ("data", "teacher", "start", "training", "fixture", "weights")
    }


def section(title: str, text: str) -> str:
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", text, flags=re.DOTALL | re.MULTILINE)
    return str(found)


def test_the_page_has_all_numbers_by_data_set() -> None:
    results = section("Results", CARD.readme())
    first, second = results.split("### cifar100")
    assert "### cifar10\n" in first, "the data that it was trained on comes first"
    lines = first.splitlines()
    assert "| task | metric | clean | standard | n |" in lines
    assert "| probe | accuracy | 0.810 [0.785, 0.833] | 0.500 [0.469, 0.531] | 1,000 |" in lines
    assert "| anomaly | auroc | 0.912 [0.900, 0.923] | 0.612 [0.600, 0.623] | 1,000 |" in lines
    assert "| anomaly | auroc, only normal attacked |  | 0.712 [0.700, 0.723] | 1,000 |" in lines
    assert "- attack standard on probe: `AutoAttack(eps=8/255)`" in lines
    assert "- attack standard on anomaly: `Worst(APGD, Square)`" in lines
    assert "fitted on 50,000 images (train), measured on 1,000 (test)" in first
    assert "fingerprints cifar1050000 and cifar101000c." in first
    assert "apgd" not in results, "a curve is no result of one size"
    assert "| probe | accuracy | 0.412 [0.370, 0.455] | 0.201 [0.168, 0.238] | 500 |" in second

    curve = section("Robustness against eps", CARD.readme())
    assert "| task | metric | 0 | 2/255 | 4/255 | n |" in curve
    assert "| probe | accuracy | 0.820 [0.770, 0.860] | 0.710 [0.660, 0.760] | 0.610 [0.550, 0.660] | 300 |" in curve
    assert "recall@10" not in curve, "nothing attacked it"
    assert "APGD(eps=4/255)" in curve


def test_the_page_says_flags_or_that_there_are_none() -> None:
    health = section("Health of the attacks", CARD.readme())
    assert "- **cifar100, probe under fast: zero gradients: 0.5 of the images had" in health
    healthy = dataclasses.replace(CARD, reports=(MAIN, CURVE))
    assert "Each of the 4 attacks on a task was examined on 12 cases or more; no flag" in healthy.readme()
    assert "## Health" not in dataclasses.replace(CARD, reports=()).readme()


def test_the_page_says_which_features_were_measured() -> None:
    patches = dataclasses.replace(MAIN, setup=Setup("cifar10", patches=True))
    assert "Tasks on the maps of the middle stages fitted on" in dataclasses.replace(CARD, reports=(patches,)).readme()
    assert "middle stages" not in CARD.readme()


def test_the_page_promises_only_what_can_be_measured_again() -> None:
    """`reproduce` refuses reports that do not say how they were made."""
    silent = dataclasses.replace(CARD, reports=(CURVE, SECOND))
    assert "robustfeat reproduce" not in silent.readme()
    assert "same_features" in section("Check it yourself", silent.readme())


def test_the_page_has_everything_else() -> None:
    text = CARD.readme()
    for title, *pieces in (
        ("Load", 'robustfeat.load("gacd-x")'),
        ("Threat model", "each value of each pixel may change by up to 8/255", "white box", "upper bound"),
        ("Limits", "Knows small photographs only.", "n = 300 to 1,000 test images of cifar10", "seed 7", "32x32"),
        ("Training data", "cifar10", "45,000", "feedbeef", "cat, dog"),
        ("Training", "2h12m for 12,345 steps (43.2 epochs)", "Other CPU, 1 threads", "torch 2.14.1", "processes: 2"),
        (
            "Training",
            "at-x, sha256 of its weights `abc123`",
            "Started from: natural-x, sha256 of its weights `abc124`",
            "step 1,000",
            "0.520 under PGD",
            "--max_steps 12345",
        ),
        ("Training", "Measured: Some CPU, 3 threads"),
        ("Check it yourself", "sha256 `d00d`", "robustfeat reproduce gacd-x --quick", "same_features"),
        ("Licence", "Apache-2.0"),
    ):
        for piece in pieces:
            assert piece in section(title, text), (title, piece)
    assert "512 features of 32x32" in text.split("## ")[0]
    assert "by `gacd` from the teacher at-x" in text.split("## ")[0]
    l2 = dataclasses.replace(CARD, threat="l2 128/255").readme()
    assert "may be up to 128/255 long (norm l2)" in section("Threat model", l2)
    assert "Trained without attacks" in dataclasses.replace(CARD, threat="none").readme()


def test_a_card_that_knows_nothing_has_a_page() -> None:
    text = Card("bare", Architecture("resnet18"), 512).readme()
    assert "None" not in text
    for title in ("Results", "Training", "Check it yourself", "Health of the attacks"):
        assert f"## {title}" not in text


def test_the_page_has_the_command() -> None:
    (line,) = [line for line in CARD.readme().splitlines() if line.startswith("robustfeat train")]
    assert line.startswith("robustfeat train gacd --data cifar10 ")
    assert line.endswith(" --out runs/gacd-x")
    assert parsed(line) == ("gacd", OBJECTIVES["gacd"](tau=0.1).options(), CARD.recipe)  # type: ignore[call-arg]
