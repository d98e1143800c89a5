"""Grid files: read, checked, and every preset can be made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from repository import ROOT

from robustfeat.bench import Grid, Method
from robustfeat.bench.grid import presets
from robustfeat.numerics.eps import Eps
from robustfeat.objectives import GACD

SMALL = {"methods": ["natural", "gacd"], "teacher": "nobody", "recipe": {"eps": "4/255", "epochs": 3}}


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text(
        """
        data: digits
        teacher: {objective: at, recipe: {student: cnn_small, epochs: 2}}
        students: [cnn_tiny, cnn_small]
        seeds: [4, 5]
        recipe: {eps: 4/255, epochs: 3, lr: 0.2}
        methods:
          natural: natural
          plain: {objective: gacd, options: {weight: none, tau: 1e-1}, recipe: {lr: 5E-2}}
        """
    )
    grid = Grid.load(str(tmp_path / "g.yaml"))
    assert grid.students == ("cnn_tiny", "cnn_small")
    objective = grid.methods["plain"].make()
    assert isinstance(objective, GACD)
    assert (objective.weight, objective.tau) == ("none", 0.1)
    recipe = grid.recipe_of(grid.methods["plain"], "cnn_small", 5, "T")
    assert (recipe.student, recipe.seed, recipe.teacher, recipe.lr, recipe.eps) == (
        "cnn_small",
        5,
        "T",
        0.05,
        Eps("4/255"),
    )
    natural = grid.recipe_of(grid.methods["natural"], "cnn_tiny", 4, "T")
    assert (natural.teacher, natural.lr, natural.epochs) == (None, 0.2, 3)
    assert grid.teacher_recipe().student == "cnn_small"
    assert Grid.from_dict(grid.as_dict()) == grid


def test_every_preset() -> None:
    assert set(presets()) >= {"digits"}
    for name in presets():
        grid = Grid.load(name)
        for method in grid.methods.values():
            method.make()
        assert grid.champion in grid.methods
        assert len(grid.seeds) >= 3


def test_the_page_on_grids() -> None:
    page = (ROOT / "docs" / "guide" / "bench.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    assert Grid.from_dict(yaml.safe_load(example)).champion == "gacd"
    known = page[page.index("knows these by name:") : page.index("`--dry_run`")]
    named = re.findall(r"^\| (`[^|]*`) \|", known, flags=re.MULTILINE)
    parts = [re.findall(r"[\w-]+", row) for row in named]
    every = [one if not one.startswith("-") else row[0].rsplit("-", 1)[0] + one for row in parts for one in row]
    assert sorted(every) == presets()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": []}, "methods of the grid is empty"),
        ({"students": []}, "students of the grid is empty"),
        ({"seeds": []}, "seeds of the grid is empty"),
        ({"methods": ["gcad"]}, "did you mean 'gacd'"),
        ({"methods": {"a": {"objective": "gacd", "options": {"taw": 1}}}}, "does not take"),
        ({"methods": {"a": {"objective": "gacd", "options": {"tau": -1}}}}, "tau must be greater than 0"),
        ({"methods": {"a": {"options": {}}}}, "a method is an objective's name, or has"),
        ({"methods": {"../a": "gacd"}}, "a method cannot be called '../a'"),
        ({"methods": {"teacher": "gacd"}}, "a method cannot be called 'teacher'"),
        ({"methods": {"a": 3}}, "a method is an objective's name, or has"),
        ({"recipe": {"epoch": 3}}, "the recipe of the grid cannot be used"),
        ({"recipe": {"eps": "much"}}, "eps 'much' is not a number"),
        ({"recipe": {"seed": 1}}, "the recipe of the grid has seed"),
        ({"recipe": {"student": "cnn_tiny"}}, "name the students of the grid"),
        ({"methods": {"a": {"objective": "at", "recipe": {"train": "train"}}}}, "the recipe of method 'a' has train"),
        ({"students": ["cnn_tinny"]}, "unknown architecture 'cnn_tinny'; did you mean 'cnn_tiny'"),
        ({"students": ["cnn_tiny", "cnn_tiny"]}, "students of the grid has 'cnn_tiny' twice"),
        ({"seeds": [0, 1, 0]}, "seeds of the grid has 0 twice"),
        ({"attack": "pgdd"}, "did you mean 'pgd'"),
        ({"attack": "autoattack"}, "attack 'autoattack' is for classifiers only"),
        ({"champion": "gcad"}, "champion 'gcad' is none of the methods natural, gacd"),
        ({"limit": 0}, "limit must be at least 1, got 0"),
        ({"metods": []}, "not ['metods']"),
        ({"teacher": None}, "a method is an objective's name"),
    ],
)
def test_a_grid_that_can_not_be(change: dict[str, object], message: str) -> None:
    with pytest.raises((ValueError, KeyError)) as error:
        Grid.from_dict(SMALL | change)
    assert message in str(error.value)


def test_files_that_are_no_grids(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="unknown grid 'digit'; did you mean 'digits'"):
        Grid.load("digit")
    for text, message in (
        ("[1, 2", "cannot be read as YAML"),
        ("- 1", "a grid has the entries"),
        ("!!python/object:os.x {}", "cannot be read as YAML"),
    ):
        (tmp_path / "g.yaml").write_text(text)
        with pytest.raises(ValueError, match=message):
            Grid.load(str(tmp_path / "g.yaml"))


def test_a_method_is_made_anew_each_time() -> None:
    method = Method("gacd", {"beta": 2.0})
    assert method.make() is not method.make()


def test_everything_is_measured_under_the_shared_threat() -> None:
    methods = {"strong": {"objective": "at", "recipe": {"eps": 0.3}}, "at": "at"}
    grid = Grid.from_dict(SMALL | {"methods": methods, "recipe": {"eps": 0.1}})
    assert grid.threat().eps == 0.1
    assert grid.recipe_of(grid.methods["strong"], "cnn_tiny", 0, "T").eps == 0.3
