"""The command `robustfeat evaluate MODEL` measures tasks, clean and under attack."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser

from robustfeat.attacks import ATTACKS
from robustfeat.command_line.command import Command, Result
from robustfeat.report import Setup
from robustfeat.tasks import CLASSIC, DETECTORS, TASKS

if TYPE_CHECKING:
    from robustfeat.evaluation import Evaluation, Shift
    from robustfeat.evaluation.evaluation import Prepared
    from robustfeat.features.extractor import FeatureExtractor


def _add(parser: ArgumentParser) -> None:
    parser.add_argument("model", type=str, help="a published name, a model folder, hf:ORG/REPO or timm:NAME")
    parser.add_class_arguments(Setup, as_group=True, skip={"model", "task", "attack", "patches"})
    parser.add_argument(
        "--patches",
        action="store_true",
        help="features are the maps of the middle stages, which anomaly:patchcore is for",
    )
    parser.add_argument(
        "--task",
        type=str,
        action="append",
        help=f"once per task, of {', '.join(TASKS)} (default: {', '.join(CLASSIC)}); "
        f"anomaly and ood take a detector, as in ood:energy, of {', '.join(DETECTORS)}; "
        "retrieval and knn-probe a FAISS index, head and compatible a model, adversarial-probe an eps",
    )
    parser.add_argument(
        "--attack", type=str, action="append", help=f"once per attack, of {', '.join(ATTACKS)} (default: none)"
    )
    parser.add_argument(
        "--keep_images", action="store_true", help="keep the attacked images in --records, for robustfeat recount"
    )
    parser.add_argument(
        "--cache", type=str | None, default=None, help="a folder for features, which the next call finds there"
    )
    parser.add_argument("--device", type=str, default="cpu", help="cpu, cuda, ...")
    parser.add_argument(
        "--plot",
        type=str,
        default=None,
        help="draw the first attack here: bars, or with --curve robustness against eps",
    )
    parser.add_argument(
        "--features",
        action="store_true",
        help="attack the features themselves as well: shift, and likeness to --teacher",
    )
    parser.add_argument(
        "--teacher", type=str | None, default=None, help="the model whose structure is compared, for --features"
    )
    parser.add_argument(
        "--map", type=str | None, default=None, help="with --features: draw where the attack moves up to 300 images"
    )
    parser.add_argument("--map_method", type=str, default="pca", help="pca or tsne")
    parser.add_argument("--out", type=str, default=None, help="write the report here: .json, or .md as a table")


def _run(values: dict[str, Any]) -> Result:
    from robustfeat.evaluation import Evaluation, Records, evaluate
    from robustfeat.features import hub
    from robustfeat.report import CLEAN, plot_curves, plot_robustness, table
    from robustfeat.report.map import METHODS
    from robustfeat.report.report import SUFFIXES
    from robustfeat.runtime.files import check_suffix
    from robustfeat.runtime.parallel import join, rank

    if values["out"]:
        check_suffix(values["out"], *SUFFIXES, what="reports")  # before hours of work
    if not values["features"] and (values["teacher"] or values["map"]):
        raise ValueError("teacher and map are of the attack on features; add --features")
    if values["keep_images"] and values["records"] is None:
        raise ValueError("keep_images needs a folder for the images; give one with --records")
    records = None if values["records"] is None else Records(values["records"], images=values["keep_images"])
    options = {name: values[name] for name in ("batch_size", "seed", "examined", "cache")}
    if values["map_method"] not in METHODS:
        raise ValueError(f"map_method must be one of {METHODS}, got {values['map_method']!r}")
    evaluation = Evaluation.of(values)
    prepared = evaluation.prepared(hub.load(values["model"], device=join(values["device"])))
    teacher = None if values["teacher"] is None else hub.load(values["teacher"], device=join(values["device"]))
    report = evaluate(*prepared, **options, records=records)
    report = dataclasses.replace(report, setup=evaluation.setup())
    if values["out"] and rank() == 0:
        report.save(values["out"])
    if values["features"]:
        report = dataclasses.replace(report, features=_features(evaluation, prepared, teacher, values))
        if values["out"] and rank() == 0:
            report.save(values["out"])
    if values["plot"] and rank() == 0:
        headline = {row.task: row.metric for row in reversed(report.rows) if row.attack == CLEAN}  # the first of each
        draw = plot_robustness if values["curve"] is None else plot_curves
        draw([report], dict(reversed(headline.items())), (values["attack"] or [CLEAN])[0], values["plot"])
    return Result(table(report), report.as_dict())


def _features(
    evaluation: Evaluation, prepared: Prepared, teacher: FeatureExtractor | None, values: dict[str, Any]
) -> dict[str, float]:
    """Measure the effect of an attack on the features, and draw the map."""
    from robustfeat.evaluation import describe, feature_shift
    from robustfeat.numerics.logistic import Linear
    from robustfeat.report import plot_map
    from robustfeat.runtime.parallel import rank
    from robustfeat.tasks import LinearProbe

    attack = evaluation.attack_named("pgd")
    data = prepared.test

    def moved(extractor: FeatureExtractor) -> Shift:
        return feature_shift(
            extractor, data, attack, batch_size=values["batch_size"], seed=values["seed"], progress=True
        )

    shift = moved(prepared.extractor)
    theirs = None if teacher is None else moved(teacher)
    heads = [task.linear() for task in prepared.tasks if isinstance(task, LinearProbe)]
    head = Linear(*(values.cpu() for values in heads[0])) if heads else None
    if values["map"] and rank() == 0:
        some = slice(0, 300)
        labels = None if data.labels is None else data.labels[some]
        plot_map(shift.clean[some], shift.attacked[some], labels, values["map"], method=values["map_method"])
    return describe(shift, data.labels, teacher=theirs, head=head)


COMMAND = Command(
    "evaluate",
    "Measure tasks on a model's features, clean and under attack.",
    "robustfeat evaluate gacd-resnet18 --data cifar10 --task probe --attack pgd --eps 8/255 --limit 1000 --out report.json",
    _add,
    _run,
)
