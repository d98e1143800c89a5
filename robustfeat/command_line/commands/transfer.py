"""The command `robustfeat transfer MODEL ...` measures how robustness transfers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser

from robustfeat.attacks import ATTACKS
from robustfeat.command_line.command import Command, Result
from robustfeat.report import Setup
from robustfeat.tasks import CLASSIC, TASKS

if TYPE_CHECKING:
    from robustfeat.evaluation import Evaluation
    from robustfeat.features.extractor import FeatureExtractor
    from robustfeat.report import Report


# Choices of an evaluation that differ from one data set or model to the other, and those that `evaluate` alone has.
OF_ONE = {"data", "image", "label", "task", "attack", "model", "records"}
ALONE = {"outliers", "curve", "source", "patches", "shots", "examined"}


def _add(parser: ArgumentParser) -> None:
    parser.add_argument("models", type=str, nargs="+", help="published names, model folders, or timm:NAME")
    parser.add_argument("--source", type=str, required=True, help="the data set the models were trained on")
    parser.add_argument(
        "--target", type=str, action="append", required=True, help="another data set; once per data set"
    )
    parser.add_argument("--teacher", type=str | None, default=None, help="the model they were distilled from")
    parser.add_argument("--natural", type=str | None, default=None, help="a twin that was trained without attacks")
    parser.add_argument(
        "--task",
        type=str,
        action="append",
        help=f"once per task, of {', '.join(TASKS)} (default: {', '.join(CLASSIC)})",
    )
    parser.add_argument("--attack", type=str, default="fast", help=f"one of {', '.join(ATTACKS)}")
    parser.add_class_arguments(Setup, as_group=True, skip=OF_ONE | ALONE)
    parser.set_defaults(limit=1000)
    parser.add_argument("--device", type=str, default="cpu", help="cpu, cuda, ...")
    parser.add_argument(
        "--out",
        type=str,
        required=True,
        help="folder for the reports and the table; killed, the same command goes on there",
    )


def _run(values: dict[str, Any]) -> Result:
    from robustfeat.evaluation import Evaluation, transfer
    from robustfeat.evaluation.transfers_text import transfer_markdown, transfer_text
    from robustfeat.features import hub
    from robustfeat.runtime.files import write_text
    from robustfeat.runtime.parallel import join, rank

    names = list(dict.fromkeys([values["source"], *values["target"]]))
    chosen = values | {"attack": [values["attack"]], "source": None}
    evaluations = {name: Evaluation.of(chosen | {"data": name}) for name in names}
    found: dict[str, dict[str, Report]] = {}
    for model in dict.fromkeys(filter(None, [*values["models"], values["teacher"], values["natural"]])):
        extractor = hub.load(model, device=join(values["device"]))
        found[model] = {name: _report(model, extractor, evaluation, values) for name, evaluation in evaluations.items()}
    others = {kind: found[values[kind]] if values[kind] else None for kind in ("teacher", "natural")}
    table = transfer(
        [found[model] for model in dict.fromkeys(values["models"])], names[0], seed=values["seed"], **others
    )
    if rank() == 0:
        write_text(Path(values["out"]) / "transfer.md", transfer_markdown(table))
    return Result(transfer_text(table), table.as_dict())


def _report(model: str, extractor: FeatureExtractor, evaluation: Evaluation, values: dict[str, Any]) -> Report:
    """Evaluate one model on one data set, or read a finished report from the folder."""
    from robustfeat.attacks import Attack
    from robustfeat.evaluation import evaluate
    from robustfeat.report import Report
    from robustfeat.runtime.parallel import rank

    prepared = evaluation.prepared(extractor)
    (attack,) = prepared.attacks.values()
    assert isinstance(attack, Attack)  # there is no --curve here
    digest = prepared.extractor.digest()
    prints = prepared.train.fingerprint, prepared.test.fingerprint
    out = Path(values["out"])
    stem = f"{digest[:12]}-{evaluation.data.strip('/.').replace('/', '-')}"
    path = out / f"{stem}.json"
    if path.exists():
        report = dataclasses.replace(Report.load(path), model=model)
        same = report.weights == digest and report.setup == evaluation.setup() and report.data.fingerprints == prints
        if same and list(report.attacks.values()) == [attack.configuration] and report.cases:
            return report
    report = evaluate(
        *prepared,
        batch_size=values["batch_size"],
        seed=values["seed"],
        records=out / "records" / stem,
        cache=out / "features",
    )
    # Cards of different models may have one name.
    report = dataclasses.replace(report, model=model, setup=evaluation.setup())
    if rank() == 0:
        report.save(path)
    return report


COMMAND = Command(
    "transfer",
    "Measure how robustness transfers to other data sets and tasks, against teacher and natural twin.",
    "robustfeat transfer gacd-resnet18 --source cifar10 --target cifar100 --target digits --teacher runs/teacher --out transfer",
    _add,
    _run,
)
