"""What lies where below --out."""

from __future__ import annotations

from pathlib import Path


class Folders:
    """models, logs, reports: what is wanted.  travel: the same, as files that may be taken along one by one.
    work: checkpoints, features and finished batches, which the next call goes on from."""

    def __init__(self, out: Path) -> None:
        self.out = out.expanduser().resolve()
        self.models, self.logs, self.reports = self.out / "models", self.out / "logs", self.out / "reports"
        self.travel, self.work = self.out / "travel", self.out / "work"
