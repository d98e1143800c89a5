"""What a model folder says about its weights: `card.json`, written beside `model.safetensors`, and a README from it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, get_args

from robustfeat.architecture import Architecture, Stem
from robustfeat.errors import IntegrityError
from robustfeat.recipe import Recipe
from robustfeat.types import Row

FORMAT = 1


@dataclass(frozen=True)
class Card:
    """Everything there is to know about a model; what is unknown is None, what does not apply is empty.

    name: how it is loaded.  architecture: how it is built.  feature_dim: width of its features.
    head: where the classifier comes from: "trained" (with the backbone), "linear" (fitted on its frozen features) or "none".
    threat: what it was trained to withstand, for example "linf 8/255"; "none" for a naturally trained model.
    objective, options: the method and its hyper-parameters.  recipe: of the run.  data: its fingerprint and split.
    teacher: name and sha256 of the teacher's weights.  results: measured rows, each with n and an interval.
    measured: the train and test data of the results.  attacks: name in the results -> what exactly ran.
    flags: signs that an attack on this model failed.
    weights: "sha256" and "bytes" of model.safetensors, filled in on saving.  classes: their names, in order.
    """

    name: str
    architecture: Architecture
    feature_dim: int
    head: str = "none"
    threat: str = "none"
    objective: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    recipe: Recipe | None = None
    data: dict[str, Any] = field(default_factory=dict)
    teacher: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    results: tuple[Row, ...] = ()
    measured: dict[str, Any] = field(default_factory=dict)
    attacks: dict[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    weights: dict[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    licence: str = "Apache-2.0"
    versions: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """The text of card.json."""
        values = dataclasses.asdict(self) | {"recipe": self.recipe.as_dict() if self.recipe else None}
        return json.dumps({"format": FORMAT} | values, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Card:
        """Read card.json. Raises IntegrityError for anything that is not a card of a format known here."""
        try:
            values = json.loads(text)
            version = values.pop("format")
            if version != FORMAT:
                raise IntegrityError(
                    f"card format {version!r} is not {FORMAT}; install the version of robustfeat that wrote it"
                )
            architecture = values["architecture"]
            for name in ("mean", "std"):
                architecture[name] = tuple(map(float, architecture[name]))
            for name in ("classes", "image_size"):
                architecture[name] = int(architecture[name])
            if not isinstance(architecture["name"], str) or architecture["stem"] not in get_args(Stem):
                raise ValueError(f"architecture {architecture['name']!r} with stem {architecture['stem']!r}")
            for name in ("options", "data", "teacher", "training", "weights", "versions"):
                values[name] = dict(values[name])
            for name in ("attacks", "measured"):  # cards of the first version have none of these
                values[name] = dict(values.get(name, {}))
            values["architecture"] = Architecture(**architecture)
            values["recipe"] = Recipe.from_dict(values["recipe"]) if values["recipe"] else None
            values["results"] = tuple(Row(**row) for row in values["results"])
            values["classes"] = tuple(map(str, values["classes"]))
            values["flags"] = tuple(map(str, values.get("flags", ())))
            return cls(**values)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise IntegrityError(f"card.json is not a valid card ({error}); fetch the model again") from error

    def readme(self) -> str:
        """README.md of the model folder, generated: nothing in it is written by hand."""
        lines = [
            f"# {self.name}",
            "",
            f"{self.architecture.name} (stem {self.architecture.stem}), {self.feature_dim} features, "
            f"{self.architecture.image_size}x{self.architecture.image_size} RGB images in [0, 1]. "
            f"Objective: {self.objective or 'none'}. Threat model: {self.threat}. Licence: {self.licence}.",
            "",
            "```python",
            "import robustfeat",
            f'extractor = robustfeat.load("{self.name}")',
            "```",
        ]
        if self.data:
            lines += ["", "Data: " + ", ".join(f"{key} {value}" for key, value in self.data.items()) + "."]
        if self.results:
            lines += ["", "| task | metric | attack | value | 95 % interval | n |", "|---|---|---|---|---|---|"]
            lines += [
                f"| {row.task} | {row.metric} | {row.attack} | {row.value:.3f} | {row.low:.3f} to {row.high:.3f} | {row.n} |"
                for row in self.results
            ]
            lines += ["", *[f"- {kind}: {data}" for kind, data in self.measured.items()]]
            lines += [*[f"- attack {name}: {configuration}" for name, configuration in self.attacks.items()]]
            lines += [f"- **{flag}**" for flag in self.flags]
        if self.recipe:
            lines += ["", "Recipe:", "", "```json", json.dumps(self.recipe.as_dict() | self.options, indent=2), "```"]
        return "\n".join(lines) + "\n"
