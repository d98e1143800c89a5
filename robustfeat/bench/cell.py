"""This module stores one student of a grid with its numbers in a folder."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustfeat.features.recipe import Recipe
from robustfeat.objectives import OBJECTIVES
from robustfeat.runtime.errors import IntegrityError
from robustfeat.runtime.files import write_text


@dataclass(frozen=True)
class Cell:
    """A student (or the teacher) and its measured numbers.

    Args:
        method: the name of the method in the table; "teacher" for the teacher.
        student: the timm architecture.
        seed: the seed of the training.
        numbers: fractions, except "minutes" and "images/s" of training.
        warnings: signs that an attack failed, so that numbers overestimate the model.
        made_by: everything that the numbers depend on, as JSON values.
    """

    method: str
    student: str
    seed: int
    numbers: dict[str, float]
    warnings: list[str]
    made_by: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write cell.json atomically."""
        write_text(path, json.dumps(dataclasses.asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: Path, made_by: dict[str, Any]) -> Cell:
        """Read cell.json.

        Args:
            path: the path of cell.json.
            made_by: the settings that the cell must have been made with.

        Raises:
            IntegrityError: if the file cannot be read.
            ValueError: if the cell was made with other settings.
        """
        try:
            cell = cls(**json.loads(path.read_text(encoding="utf-8")))
            theirs = dict(cell.made_by)
            if "recipe" in theirs:
                theirs["recipe"] = Recipe.completed(theirs["recipe"])
            if "options" in theirs and theirs["objective"] == made_by.get("objective"):
                theirs["options"] = OBJECTIVES[theirs["objective"]].completed(theirs["options"])
            changed = sorted(key for key in theirs.keys() | made_by.keys() if theirs.get(key) != made_by.get(key))
        except (ValueError, TypeError, AttributeError) as error:
            raise IntegrityError(f"{str(path)!r} cannot be read: {error}; remove it, to measure again") from error
        if changed:
            raise ValueError(
                f"{str(path.parent)!r} holds a student that was made with another {', '.join(changed)}; "
                "choose another folder for this grid"
            )
        return cell
