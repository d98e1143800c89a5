"""This module prints images per second as soon as they are measured, so that a run that is too slow can be stopped."""

from __future__ import annotations

from typing import Any

from accelerate.tracking import GeneralTracker

LINES = 3  # the first one has the warm-up of kernels in it


class Speed(GeneralTracker):
    """A tracker of Accelerate that prints the speed of the first steps.

    Args:
        run: the name of the training run.
    """

    name = "speed"
    requires_logging_directory = False

    def __init__(self, run: str) -> None:
        super().__init__()
        self.run, self.lines = run, 0

    @property
    def tracker(self) -> Speed:
        return self

    def log(self, values: dict[str, Any], step: int | None = None, **_: Any) -> None:
        if "images_per_s" in values and self.lines < LINES:
            self.lines += 1
            print(f"{self.run}: {values['images_per_s']:,.0f} images/s up to step {step}", flush=True)
