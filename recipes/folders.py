"""This module defines the folders below --out."""

from __future__ import annotations

from pathlib import Path


class Folders:
    """The folders below --out.

    Args:
        out: the folder itself.

    Attributes:
        models: the trained models.
        logs: the logs of training.
        reports: the reports of evaluations.
        travel: the new content of these three, as files that can be copied one by one.
        work: checkpoints, features and finished batches, from which the next call continues.
    """

    def __init__(self, out: Path) -> None:
        self.out = out.expanduser().resolve()
        self.models, self.logs, self.reports = self.out / "models", self.out / "logs", self.out / "reports"
        self.travel, self.work = self.out / "travel", self.out / "work"
