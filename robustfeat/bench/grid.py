"""This module defines a grid of methods, students and seeds, with all the settings that they share."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robustfeat.attacks import ATTACKS, Threat
from robustfeat.backbones import check_name
from robustfeat.bench.preset import preset, presets
from robustfeat.bench.settings import read_settings
from robustfeat.features.recipe import Recipe
from robustfeat.numerics.eps import Eps
from robustfeat.objectives import OBJECTIVES, Objective
from robustfeat.runtime.registry import unknown


@dataclass(frozen=True)
class Method:
    """An objective with its options, listed in the table under a name.

    Args:
        objective: the registered name of the objective.
        options: the arguments of its constructor.
        recipe: entries of the recipe for this method only.
    """

    objective: str
    options: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)

    def make(self) -> Objective:
        """Return a new objective.

        Raises:
            KeyError: for an unknown name.
            ValueError: for options that the objective does not have.
        """
        try:
            return OBJECTIVES[self.objective](**self.options)
        except TypeError as error:
            raise ValueError(f"objective {self.objective!r} does not take {self.options}: {error}") from None


@dataclass(frozen=True)
class Grid:
    """A grid trains every method with every student architecture and seed.

    Args:
        methods: the methods, by the name in the table.
        teacher: a model, or the method that trains one first, with its own recipe.
        data: the data set that the teacher and all students are trained on.
        train: its training split.
        held_out: its held-out split.
        test: the split that is measured.
        second: another data set for the probe, or None.
        second_eps: the size of the attack on the second data set, as a number or fraction; None takes that of the recipe.
        fit: the number of images of `second` that the probe is trained on.
        students: timm architectures.
        seeds: one student each.
        recipe: entries of `Recipe` that all students share: their budget.
        attack: the final attack, by its registered name ("fast", "standard").
        limit: the number of measured images.
        champion: the method whose advantage over each other method is tested.
    """

    methods: dict[str, Method]
    teacher: str | Method
    data: str = "digits"
    train: str = "train[:90%]"
    held_out: str = "train[90%:]"
    test: str = "test"
    second: str | None = None
    second_eps: str | float | None = None
    fit: int = 5000
    students: tuple[str, ...] = ("cnn_tiny",)
    seeds: tuple[int, ...] = (0, 1, 2)
    recipe: dict[str, Any] = field(default_factory=dict)
    attack: str = "fast"
    limit: int = 500
    champion: str = "gacd"

    def __post_init__(self) -> None:
        for name in ("methods", "students", "seeds"):
            if not getattr(self, name):
                raise ValueError(f"{name} of the grid is empty; name at least one")
        for name in ("limit", "fit"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)!r}")
        for name in ("students", "seeds"):
            values = getattr(self, name)
            if twice := sorted({value for value in values if values.count(value) > 1}):
                raise ValueError(f"{name} of the grid has {twice[0]!r} twice; each counts once")
        for student in self.students:
            check_name(student)
        if ATTACKS[self.attack].classifiers_only:
            raise ValueError(
                f"attack {self.attack!r} is for classifiers only, and tasks are measured too; use 'standard'"
            )
        _refuse_keys(self.recipe, "the grid")
        if "student" in self.recipe:
            raise ValueError("the recipe of the grid has student; name the students of the grid")
        for name, method in self.methods.items():
            _refuse_keys(method.recipe, f"method {name!r}")
            if "student" in method.recipe:
                raise ValueError(f"the recipe of method {name!r} has student; name the students of the grid")
            if name in ("", ".", "..", "teacher") or "/" in name:  # it names a folder and a line of the table
                raise ValueError(f"a method cannot be called {name!r}; choose a plain name")
            method.make()
            self.recipe_of(method, self.students[0], self.seeds[0], "teacher")
        if isinstance(self.teacher, Method):
            self.teacher_recipe()
        self.second_threat()

    def recipe_of(self, method: Method, student: str, seed: int, teacher: str) -> Recipe:
        """Return the recipe of one student."""
        own = {"data": self.data, "train": self.train, "held_out": self.held_out, "student": student, "seed": seed}
        needs = {"teacher": teacher} if OBJECTIVES[method.objective].needs_teacher else {}
        return _recipe(own | self.recipe | method.recipe | needs)

    def teacher_recipe(self) -> Recipe:
        """Return the recipe of the teacher, if it is trained first."""
        assert isinstance(self.teacher, Method)
        own = {"data": self.data, "train": self.train, "held_out": self.held_out}
        return _recipe(own | self.recipe | self.teacher.recipe)

    def threat(self) -> Threat:
        """Return the threat model of all measurements: that of the shared recipe, whatever a method is trained with."""
        recipe = _recipe(self.recipe)
        assert recipe.eps is not None  # the recipe fills it in
        return Threat(recipe.norm, recipe.eps)

    def second_threat(self) -> Threat:
        """Return the threat model on the second data set, with the size that is set for it."""
        first = self.threat()
        return first if self.second_eps is None else Threat(first.norm, Eps(self.second_eps))

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Grid:
        """Parse the mapping of a grid file; a method is an objective's name, or a mapping with objective, options and recipe.

        Raises:
            ValueError: for entries that a grid does not have.
        """
        known = {f.name for f in dataclasses.fields(cls)}
        if not isinstance(values, dict) or (strange := sorted(set(values) - known)):
            raise ValueError(
                f"a grid has the entries {sorted(known)}, not {strange if isinstance(values, dict) else values!r}"
            )
        parsed = dict(values)
        methods = parsed.get("methods", {})
        if isinstance(methods, list | tuple):
            methods = {name: name for name in methods}
        parsed["methods"] = {str(name): _method(method) for name, method in methods.items()}
        if not isinstance(parsed.get("teacher"), str):
            parsed["teacher"] = _method(parsed.get("teacher"))
        for name in ("students", "seeds"):
            if name in parsed:
                parsed[name] = tuple(parsed[name])
        grid = cls(**parsed)
        if grid.champion not in (*grid.methods, cls.champion):  # a grid may leave the usual one out
            raise ValueError(f"champion {grid.champion!r} is none of the methods {', '.join(grid.methods)}")
        return grid

    @classmethod
    def load(cls, name: str) -> Grid:
        """Load a grid file (YAML), or one of the presets by name."""
        path = Path(name)
        if not path.is_file():
            if name not in presets():
                raise unknown("grid", name, presets())
            path = preset(name)
        return cls.from_dict(read_settings(path))


def _method(value: Any) -> Method:
    if isinstance(value, Method):
        return value
    if isinstance(value, str):
        return Method(value)
    if not isinstance(value, dict) or not {"objective"} <= set(value) <= {"objective", "options", "recipe"}:
        raise ValueError(f"a method is an objective's name, or has objective, options and recipe; got {value!r}")
    return Method(**value)


def _refuse_keys(recipe: dict[str, Any], what: str) -> None:
    """Refuse recipe entries that are entries of the grid, which they would override silently."""
    if taken := sorted({"data", "train", "held_out", "seed", "teacher"} & recipe.keys()):
        raise ValueError(f"the recipe of {what} has {', '.join(taken)}, which are entries of the grid itself")


def _recipe(values: dict[str, Any]) -> Recipe:
    parsed: dict[str, Any] = {
        name: Eps(value) if name in ("eps", "step_size") and value is not None else value
        for name, value in values.items()
    }
    try:
        return Recipe(**parsed)
    except TypeError as error:
        raise ValueError(f"the recipe of the grid cannot be used: {error}") from None
