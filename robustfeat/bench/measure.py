"""This module measures every student of a grid, and the teacher."""

from __future__ import annotations

from pathlib import Path

from robustfeat.attacks import ATTACKS, CW, FGSM, PGD, Attack
from robustfeat.bench.grid import Grid
from robustfeat.data import dataset
from robustfeat.evaluation import Shift, describe, evaluate, feature_shift
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.report import CLEAN, Report

FINAL = "final"  # what the final attack is called in the reports
TASKS = {"probe": "accuracy", "retrieval": "recall@1", "anomaly": "auroc"}
LIKENESS = {
    "shift": "relative shift",
    "CKA": "CKA to the teacher",
    "CKA attacked": "CKA to the teacher, attacked",
    "class gap": "class-correlation gap to the teacher",
    "class gap attacked": "class-correlation gap to the teacher, attacked",
}


class Measure:
    """Measures all models on the same data with the same attacks.

    Args:
        grid: the grid.
        teacher: the model that the features of the students are compared with.
        cache: a folder for features.
    """

    def __init__(self, grid: Grid, teacher: FeatureExtractor, cache: Path) -> None:
        self.grid, self.threat, self.cache = grid, grid.threat(), cache
        self.warnings: list[str] = []
        side = teacher.card.architecture.image_size
        self.train = dataset(grid.data, grid.train, image_size=side)
        self.test = dataset(grid.data, grid.test, image_size=side).head(grid.limit)
        self.shift = self._shift(teacher)

    def __call__(self, extractor: FeatureExtractor, folder: Path) -> tuple[dict[str, float], list[str]]:
        """Measure a model.

        Args:
            extractor: the model.
            folder: where the reports are written, with their values per case.

        Returns:
            All numbers of the model, and the warnings about them.
        """
        self.warnings = []
        classic: dict[str, Attack] = {
            "fgsm": FGSM(self.threat),
            "pgd-20": PGD(self.threat, steps=20),
            "cw-20": CW(self.threat, steps=20),
        }
        final: dict[str, Attack] = {FINAL: ATTACKS[self.grid.attack](self.threat)}
        head = self._report(extractor, ["head"], classic | final, folder / "head.json")
        found = {"clean": head.value("head", "accuracy")}
        found |= {name: head.value("head", "accuracy", name) for name in (*classic, FINAL)}
        tasks = self._report(extractor, list(TASKS), final, folder / "tasks.json")
        for task, metric in TASKS.items():
            found |= {task: tasks.value(task, metric), f"{task} robust": tasks.value(task, metric, FINAL)}
        if self.grid.second is not None:
            found |= self._second(extractor, folder / "second.json")
        numbers = describe(self._shift(extractor), self.test.labels, teacher=self.shift)
        found |= {short: numbers[long] for short, long in LIKENESS.items() if long in numbers}
        return found, self.warnings

    def _report(self, extractor: FeatureExtractor, tasks: list[str], attacks: dict[str, Attack], path: Path) -> Report:
        report = evaluate(
            extractor, tasks, self.train, self.test, attacks, cache=self.cache, progress=False, examined=8
        )
        report.save(path)
        self.warnings += report.warnings()
        return report

    def _second(self, extractor: FeatureExtractor, path: Path) -> dict[str, float]:
        """Measure the probe on the second data set."""
        grid, side = self.grid, extractor.card.architecture.image_size
        assert grid.second is not None
        learnt = dataset(grid.second, f"train[:{grid.fit}]", image_size=side)
        test = dataset(grid.second, "test", image_size=side).head(grid.limit)
        attacks = {FINAL: ATTACKS[grid.attack](grid.second_threat())}
        report = evaluate(extractor, ["probe"], learnt, test, attacks, cache=self.cache, progress=False, examined=8)
        report.save(path)
        self.warnings += report.warnings()
        return {
            f"second{name}": report.value("probe", "accuracy", attack)
            for name, attack in (("", CLEAN), (" robust", FINAL))
        }

    def _shift(self, extractor: FeatureExtractor) -> Shift:
        return feature_shift(extractor, self.test, PGD(self.threat, steps=20))
