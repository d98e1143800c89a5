"""The command `robustfeat bench GRID` compares training methods."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser

from robustfeat.bench.preset import presets
from robustfeat.command_line.command import Command, Result

if TYPE_CHECKING:
    from robustfeat.bench import Grid, Method, Outcome

# What a dry run leaves of each recipe. Batch norm over fewer images, or over one final pixel of each, has infinite gradients.
DRY = {"minutes": None, "max_steps": 2, "batch_size": 16, "clip": 1.0, "steps": 1, "eval_images": 4, "eval_steps": 1}
SIDE = 16  # pixels of its images: a quarter of the arithmetic of 32, and networks for 32 still have some left to pool


def _add(parser: ArgumentParser) -> None:
    parser.add_argument("grid", type=str, help=f"a grid file (YAML), or one of {', '.join(presets())}")
    parser.add_argument("--method", type=str, action="append", help="only this method of the grid; once per method")
    parser.add_argument("--student", type=str, action="append", help="instead of the grid's students; once per student")
    parser.add_argument("--seeds", type=str | None, default=None, help="instead of the grid's seeds, such as 0,1,2")
    parser.add_argument("--teacher", type=str | None, default=None, help="a model, instead of the grid's teacher")
    parser.add_argument(
        "--second", type=str | None, default=None, help="another second data set; none for no second one"
    )
    parser.add_argument("--attack", type=str | None, default=None, help="the final attack, instead of the grid's")
    parser.add_argument("--limit", type=int | None, default=None, help="measure so many test images")
    parser.add_argument(
        "--dry_run",
        action="store_true",
        help=f"every configuration for two steps on a few images of {SIDE}x{SIDE} pixels (those of --teacher, where given)",
    )
    parser.add_argument("--jobs", type=int, default=1, help="students at once, each in a process of its own")
    parser.add_argument("--device", type=str, default="cpu", help="where students are measured: cpu, cuda, ...")
    parser.add_argument(
        "--out", type=str, required=True, help="folder for all students; killed, the same command goes on there"
    )


def _run(values: dict[str, Any]) -> Result:
    from robustfeat.bench import Grid, bench, summarise
    from robustfeat.bench.plot import plot_cost
    from robustfeat.bench.table import as_dict, markdown, text
    from robustfeat.runtime.files import write_text

    grid = _changed(Grid.load(values["grid"]), values)
    out = Path(values["out"])

    def write(outcome: Outcome) -> None:
        """Write the current table; the plot, which takes longer, is drawn at the end."""
        summary = summarise(outcome, out, grid.champion)
        write_text(out / "bench.json", json.dumps(as_dict(summary) | {"grid": grid.as_dict()}, indent=2) + "\n")
        write_text(out / "bench.md", markdown(summary, f"Bench {Path(values['grid']).stem}") + "\n![cost](bench.png)\n")

    outcome = bench(grid, out, device=values["device"], jobs=values["jobs"], each=write)
    summary = summarise(outcome, out, grid.champion)
    plot_cost(summary, out / "bench.png")
    return Result(text(summary), as_dict(summary), code=1 if outcome.diverged else 0)


def _changed(grid: Grid, values: dict[str, Any]) -> Grid:
    """Return the grid with the changes of the command line."""
    from robustfeat.bench import Method

    changes: dict[str, Any] = {}
    if values["method"]:
        if missing := [name for name in values["method"] if name not in grid.methods]:
            raise ValueError(f"the grid has no method {missing[0]!r}; it has {', '.join(grid.methods)}")
        changes["methods"] = {name: grid.methods[name] for name in values["method"]}
    if values["student"]:
        changes["students"] = tuple(values["student"])
    if values["seeds"] is not None:
        try:
            changes["seeds"] = tuple(int(seed) for seed in values["seeds"].split(","))
        except ValueError:
            raise ValueError(f"seeds must be whole numbers with commas between them, got {values['seeds']!r}") from None
    changes |= {name: values[name] for name in ("teacher", "attack", "limit") if values[name] is not None}
    if values["second"] is not None:
        changes["second"] = None if values["second"] == "none" else values["second"]
    if values["dry_run"]:
        # Of 100 classes five images may have none that is normal for one detector and anomalous for another; eight have.
        changes |= {"train": "train[:1000]", "held_out": "train[1000:1010]", "limit": 8, "fit": 100, "attack": "fgsm"}
        teacher = changes.get("teacher", grid.teacher)
        dry = DRY | {"image_size": SIDE} if isinstance(teacher, Method) else DRY
        changes["recipe"] = grid.recipe | dry
        # A method's own recipe would win over the shared one.
        methods = changes.get("methods", grid.methods)
        changes["methods"] = {name: _with(method, dry) for name, method in methods.items()}
        if isinstance(teacher, Method):
            changes["teacher"] = _with(teacher, dry)
    return dataclasses.replace(grid, **changes)


def _with(method: Method, recipe: dict[str, Any]) -> Method:
    return dataclasses.replace(method, recipe=method.recipe | recipe)


COMMAND = Command(
    "bench",
    "Compare training methods: same teacher, data, budget and attacks, several seeds.",
    "robustfeat bench digits --out runs/bench; robustfeat bench my-grid.yaml --seeds 0 --method gacd --method rslad --out runs/b",
    _add,
    _run,
)
