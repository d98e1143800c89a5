"""This module measures all models, in the order of the files in evaluate/, so that a short call has the important numbers."""

from __future__ import annotations

from pathlib import Path

from recipes import MODELS
from recipes.configuration import Overrides, evaluations
from recipes.folders import Folders
from robustfeat.evaluation import Evaluation
from robustfeat.features import hub
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.publishing.affordable import speed
from robustfeat.report import Report
from robustfeat.runtime.errors import OfflineError

ABSENT = (OfflineError, FileNotFoundError, ImportError)  # a data set, or the package of an attack


def measure(folders: Folders, overrides: Overrides, device: str) -> list[str]:
    """Write reports/MODEL/EVALUATION.json of every model in models/.

    A report of the same weights and settings is skipped, and an interrupted evaluation continues where it stopped.

    Args:
        folders: the folders below --out.
        overrides: entries that replace those of the files.
        device: the device of the measurement.

    Returns:
        The evaluations that were left out because data or packages are missing, with the reasons.

    Raises:
        KeyboardInterrupt: if the time is over.
    """
    names = [name for stage in ("teacher", "students", "anchored", "natural") for name in MODELS[stage]]
    there = [name for name in names if (folders.models / name / hub.CARD).is_file()]
    left_out, said = [], set()
    for title, evaluation in evaluations(overrides).items():
        for name in there:
            extractor = hub.load(folders.models / name, device=device)
            path = folders.reports / name / f"{title}.json"
            if _is_of(path, extractor, evaluation):
                continue
            if name not in said:
                said.add(name)
                print(f"{name}: {speed(extractor):,.0f} images/s forward", flush=True)
            records = folders.work / "records" / extractor.digest()[:16] / title
            try:
                report = evaluation.run(extractor, records=records, cache=folders.work / "features")
            except ABSENT as error:
                left_out.append(f"{title} of {name}: {error}")
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            report.save(path)
            print(f"{name}, {title}: {_headlines(report)}", flush=True)
    return left_out


def _headlines(report: Report) -> str:
    """Return the first metric of each task, clean and under each attack, and the number of flags."""
    first = {row.task: row.metric for row in reversed(report.rows)}
    rows = [row for row in report.rows if row.metric == first[row.task] and not row.column]
    told = [f"{row.task} {row.metric} {row.value:.3f} ({report.label(*row.sized)})" for row in rows]
    return ", ".join([*told, f"{len(report.warnings())} flags"])


def _is_of(path: Path, extractor: FeatureExtractor, evaluation: Evaluation) -> bool:
    """Return whether there is a report of these weights and settings."""
    if not path.is_file():
        return False
    report = Report.load(path)
    return report.weights == extractor.digest() and report.setup == evaluation.setup()
