"""This module trains a model as long as its settings require, over several calls, and exports it in half precision."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from pathlib import Path

from recipes.configuration import Overrides, Training, trainings
from recipes.folders import Folders
from recipes.speed import Speed
from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.features.recipe import Recipe
from robustfeat.publishing.exported import export
from robustfeat.training.loop import train

PART = "15MB"  # of weights in one file


def train_model(name: str, folders: Folders, overrides: Overrides) -> None:
    """Start or continue the runs of a model, and leave the best weights so far in models/NAME, even if the time is over.

    A model without a run in work/ was copied from another machine, and is kept as it is.

    Args:
        name: the name of the model.
        folders: the folders below --out.
        overrides: entries that replace those of the files.

    Raises:
        KeyboardInterrupt: if the time is over.
        ValueError: if its teacher or initial model is missing.
    """
    target, candidates = folders.models / name, trainings(name, overrides)
    runs = {folders.work / one.run: one for one in candidates}
    there = (target / hub.CARD).is_file()
    if there and not any(run.exists() for run in runs):
        print(f"{name}: it was brought here, and is taken as it is", flush=True)
        return
    wanted = {run: _here(one, folders) for run, one in runs.items()}
    if there and all(_is_done(run, recipe) for run, recipe in wanted.items()):
        print(f"{name}: done", flush=True)
        return
    try:
        for run, one in runs.items():
            if not _is_done(run, wanted[run]):
                train(one.objective, wanted[run], run, resume=True, log_with=Speed(one.run))
    finally:
        _leave(name, runs, folders)


def _here(one: Training, folders: Folders) -> Recipe:
    """Return the recipe with teacher and initial model in models/, so that older published models of the name are not used."""
    found = {}
    for role in ("teacher", "start"):
        source = getattr(one.recipe, role)
        if source is not None:
            found[role] = str(folders.models / source)
            if not (folders.models / source / hub.CARD).is_file():
                raise ValueError(
                    f"{one.run} needs {source!r} as its {role}, which is not in {str(folders.models)!r}; run its stage first, or "
                    "put the model there"
                )
    return dataclasses.replace(one.recipe, **found)


def _is_done(run: Path, recipe: Recipe) -> bool:
    """Return whether last/, which is written at the end of a run, has this recipe."""
    last = run / "last"
    return (last / hub.CARD).is_file() and hub.read_card(last).recipe == recipe


def _leave(name: str, runs: dict[Path, Training], folders: Folders) -> None:
    """Copy the best weights of all runs to models/NAME, and the logs."""
    for run in runs:
        if (run / "log.jsonl").is_file():
            folders.logs.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(run / "log.jsonl", folders.logs / f"{run.name}.jsonl")
    ranked = {
        run: _rank(hub.read_card(run / "best"), one) for run, one in runs.items() if (run / "best" / hub.CARD).is_file()
    }
    if not ranked:
        return
    best = max(ranked, key=lambda run: ranked[run])
    folders.models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folders.work) as aside:
        card = export(best, Path(aside) / name, half=True, max_shard_size=PART)
        shutil.rmtree(folders.models / name, ignore_errors=True)
        (Path(aside) / name).rename(folders.models / name)
    facts = card.training
    print(
        f"{name}: {best.name}, step {facts.step:,} of {facts.steps:,}, {facts.images_per_s:,.0f} images/s, "
        f"held-out accuracy {facts.held_out_clean:.3f} clean, {facts.held_out_robust:.3f} under attack",
        flush=True,
    )


def _rank(card: Card, one: Training) -> tuple[float, float]:
    """Return the sort key of a run, by which the best weights of one run are also chosen."""
    clean, robust = card.training.held_out_clean or 0.0, card.training.held_out_robust or 0.0
    return (robust, clean) if one.objective.robust else (clean, robust)
