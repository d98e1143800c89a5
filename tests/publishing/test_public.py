"""What a card gives away: names that load elsewhere stay as they are, of a path the last part remains."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import robustfeat.publishing.public
from robustfeat.backbones.architecture import Architecture
from robustfeat.features.card import Card, ModelRef
from robustfeat.features.recipe import Recipe
from robustfeat.publishing.public import public
from robustfeat.report import DataFacts, Ran, Report, Row, Setup, Splits

DATA = {
    "/home/me/cats": "cats", "~/cats": "cats", "./cats": "cats", "../photos/cats": "cats", "/home/me:x/cats": "cats",
    "a/b/cats": "cats", "photos/cats.parquet": "cats.parquet", "/cats": "cats", "/home/me/cats/": "cats", ".": ".",
    "digits": "digits", "uoft-cs/cifar10": "uoft-cs/cifar10", "owner/name:config": "owner/name:config",
}  # fmt: skip
MODELS = {
    "/home/me/runs/teacher": "teacher", "runs/teacher": "teacher", "~/teacher": "teacher", "/home/me:x/teacher": "teacher",
    "gacd-resnet18": "gacd-resnet18", "hf:org/name": "hf:org/name", "hf:org/name@v1/x": "hf:org/name@v1/x",
    "timm:resnet18.a1_in1k": "timm:resnet18.a1_in1k",
}  # fmt: skip
OTHER_TASKS = ("probe", "adversarial-probe:8/255", "retrieval:IVF16,Flat", "anomaly:gmm-2", "head", "head-2")


def card(*reports: Report, teacher: str | None = None, start: str | None = None, data: str = "digits") -> Card:
    recipe = Recipe(data=data, teacher=teacher, start=start)
    facts = {role: ModelRef(f"the-{role}", "0") for role in ("teacher", "start")}
    return Card(
        "m",
        Architecture("resnet18"),
        512,
        recipe=recipe,
        data=DataFacts(data, 9),
        teacher=facts["teacher"] if teacher else None,
        start=facts["start"] if start else None,
        reports=reports,
    )


def report(data: str = "digits", task: str = "probe", **setup: object) -> Report:
    facts = DataFacts(data, 9, "f")
    rows, runs = (
        (Row(task, "accuracy", "pgd", None, "", 0.5, 0, 1, 9, 0),),
        (Ran(task, "", "pgd", None, "PGD(eps=8/255)", 1, 1, 0, 0, 0),),
    )
    return Report(
        "/home/me/m", Splits(facts, facts), "linf 8/255", rows, runs=runs,
        setup=Setup.of({"data": data, "task": [task], "train": "train[:98%]", "eps": "8/255", "curve": "1/255,2/255"} | setup),
    )  # fmt: skip


@pytest.mark.parametrize("name", DATA)
def test_names_of_data(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = public(card(report(name, outliers=name), data=name))
    assert shown.recipe is not None
    (found,) = shown.reports
    names = [shown.recipe.data, shown.data.name, found.setup.data, found.setup.outliers]
    assert [*names, found.data.train.name, found.measured_on] == [DATA[name]] * 6
    assert shown.data.images == found.data.test.images == 9
    assert public(shown) == shown, "twice is once"


def test_a_folder_that_looks_like_an_id_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos" / "cats").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert public(card(data="photos/cats")).data.name == "cats"
    assert public(card(data="photos/dogs")).data.name == "photos/dogs"


def test_two_data_sets_in_one() -> None:
    """As `with_outliers` names them; " and " in a path does not cut it."""
    (found,) = public(card(report("/me/cats and /me/dogs", outliers="/me/dogs"))).reports
    assert found.measured_on == "cats and dogs"
    (found,) = public(card(report("/home/me and you/cats"))).reports
    assert found.measured_on == "cats"


@pytest.mark.parametrize("name", MODELS)
def test_names_of_models(name: str) -> None:
    (found,) = public(card(report(task=f"head:{name}", source=name))).reports
    assert found.setup.source == MODELS[name]
    titles = {found.setup.task[0], found.rows[0].task, found.runs[0].task}
    assert titles == {f"head:{MODELS[name]}"}


@pytest.mark.parametrize("name", [*MODELS, "bare", None])
@pytest.mark.parametrize("role", ["teacher", "start"])
def test_a_source_that_loads_elsewhere_keeps_its_name(
    role: str, name: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder is no such name, also where it has no slash: then the source's own card says what it is called."""
    monkeypatch.setattr(robustfeat.publishing.public, "models", lambda: ["gacd-resnet18"])
    before = card(**{role: name})
    shown = public(before).recipe
    loads = name is None or name.startswith(("hf:", "timm:")) or name == "gacd-resnet18"
    assert getattr(shown, role) == (name if loads else f"the-{role}")
    silent = public(dataclasses.replace(before, **{role: None})).recipe
    assert getattr(silent, role) == MODELS.get(str(name), name)


@pytest.mark.parametrize("task", OTHER_TASKS)
def test_what_is_no_path_stays(task: str) -> None:
    before = report(task=task, source=None, outliers=None)
    (found,) = public(card(before)).reports
    assert found == dataclasses.replace(before, model="m")


def test_a_card_that_says_nothing() -> None:
    bare = Card("bare", Architecture("resnet18"), 512)
    assert public(bare) == bare
