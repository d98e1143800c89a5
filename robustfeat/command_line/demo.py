"""This module runs the full pipeline on scikit-learn's digits: teacher, student, natural student, three tasks, one report."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from robustfeat.attacks import PGD, Threat
from robustfeat.data import dataset
from robustfeat.evaluation import evaluate
from robustfeat.features import hub
from robustfeat.features.recipe import Recipe
from robustfeat.numerics.eps import Eps
from robustfeat.objectives import GACD, AdversarialTraining, Natural, Objective
from robustfeat.report import markdown, plot_robustness, table
from robustfeat.runtime.files import write_text
from robustfeat.training.loop import train

HEADLINE = {"probe": "accuracy", "retrieval": "recall@1", "anomaly": "auroc"}
EPS = Eps(0.15)  # of 8x8 digits with 17 grey levels; PGD-40 leaves a natural network nothing


def demo(
    out: str | os.PathLike[str], seed: int = 0, *, max_steps: int | None = None, limit: int | None = None
) -> tuple[str, dict[str, Any]]:
    """Train three small networks, measure them, and write report.json, report.md and report.png into `out`.

    A second call with the same folder resumes or reuses its content.

    Args:
        out: the folder for models and report.
        seed: the seed of all random numbers.
        max_steps: steps of each training, for a short test; None takes what the numbers need.
        limit: test images, for a short test; None takes all.

    Returns:
        The text to print, and the reports as JSON values.
    """
    folder = Path(out)
    base = Recipe(
        data="digits",
        stem="timm",
        eps=EPS,
        steps=5,
        batch_size=64,
        crop=1,
        flip=False,
        channels_last=False,
        eval_epochs=1000,
        max_steps=max_steps,
        seed=seed,
    )
    teacher = str(folder / "teacher")
    runs: dict[str, tuple[Objective, Recipe]] = {
        "teacher": (AdversarialTraining(), dataclasses.replace(base, student="cnn_small", epochs=40)),
        "gacd": (GACD(), dataclasses.replace(base, student="cnn_tiny", epochs=60, lr=0.2, crop=0, teacher=teacher)),
        "natural": (Natural(), dataclasses.replace(base, student="cnn_tiny", epochs=10)),
    }
    train_data, test_data = dataset("digits", "train"), dataset("digits", "test").head(limit)
    attack = PGD(Threat("linf", EPS), steps=40)
    reports = []
    for name, (objective, recipe) in runs.items():
        best = train(objective, recipe, folder / name, resume=True)
        reports.append(evaluate(hub.load(best), list(HEADLINE), train_data, test_data, [attack], seed=seed))
    data = {report.model: report.as_dict() for report in reports}
    write_text(folder / "report.json", "[" + ",\n".join(report.to_json() for report in reports) + "]\n")
    write_text(folder / "report.md", markdown(*reports, title="robustfeat on digits") + "\n![robustness](report.png)\n")
    plot_robustness(reports, HEADLINE, "pgd", folder / "report.png")
    teacher_robust, student_robust, natural_robust = (r.value("probe", "accuracy", "pgd") for r in reports)
    summary = (
        f"Linear probe under {attack.threat}: teacher {teacher_robust:.3f}, GACD student {student_robust:.3f} "
        f"({student_robust / max(teacher_robust, 1e-9):.2f} of the teacher), natural student {natural_robust:.3f}.\n"
        f"Report: {folder / 'report.md'}, {folder / 'report.json'}, {folder / 'report.png'}"
    )
    return f"{table(*reports)}\n\n{summary}", data
