"""The command `robustfeat recount REPORT.json` computes the numbers of a report again."""

from __future__ import annotations

from typing import Any

from jsonargparse import ArgumentParser

from robustfeat.command_line.command import Command, Result
from robustfeat.runtime.errors import IntegrityError

WHERE = ("records", "model", "device")
MADE_BY = "Images are kept, with their place in the report, by robustfeat evaluate --records DIR --keep_images --out REPORT.json"


def _add(parser: ArgumentParser) -> None:
    parser.add_argument("report", type=str, help="a report that evaluate --records DIR --keep_images --out wrote")
    parser.add_argument("--records", type=str, default=None, help="where the images lie now (default: where they were)")
    parser.add_argument("--model", type=str, default=None, help="where the model lies now (default: where it was)")
    parser.add_argument(
        "--device", type=str, default=None, help="cpu, cuda, ... (default: as then; others round otherwise)"
    )


def _run(values: dict[str, Any]) -> Result:
    from robustfeat.evaluation import Evaluation, recount
    from robustfeat.features import hub
    from robustfeat.report import Report
    from robustfeat.runtime.parallel import join

    report = Report.load(values["report"])
    setup = report.setup
    known = {"device": report.environment.get("device")} | ({} if setup is None else setup.as_dict())
    where = {name: str(place) for name in WHERE if (place := values[name] or known.get(name)) is not None}
    if missing := [name for name in WHERE if name not in where]:
        raise ValueError(
            f"{values['report']!r} does not say its {', '.join(missing)}; give --{', --'.join(missing)}. {MADE_BY}"
        )
    if setup is None:
        raise ValueError(f"{values['report']!r} does not say how it was measured. {MADE_BY}")
    extractor = hub.load(where["model"], device=join(where["device"]))
    wrong = recount(report, *Evaluation.again(report).prepared(extractor), records=where["records"])
    if wrong:
        lines = [
            f"{a.task} {a.metric} {report.label(*a.sized, a.column)}: {a.value} is {b.value if b else 'missing'} now"
            for a, b in wrong
        ]
        raise IntegrityError(f"{len(wrong)} of {len(report.rows)} numbers differ: " + "; ".join(lines))
    return Result(f"{len(report.rows)} numbers, 0 differences", {"numbers": len(report.rows), "differences": 0})


COMMAND = Command(
    "recount",
    "Compute every number of a report again, from the attacked images that were kept.",
    "robustfeat recount report.json",
    _add,
    _run,
)
