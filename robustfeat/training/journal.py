"""The log of a training run: one JSON line per measurement, a line or bar on the terminal, and any Accelerate tracker."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from robustfeat.numerics.types import Losses
from robustfeat.runtime.files import write_text
from robustfeat.runtime.progress import Progress


class Journal:
    """Writes `log.jsonl` of a run, in the main process only."""

    def __init__(self, path: Path, accelerator: Accelerator) -> None:
        self.path, self.accelerator = path, accelerator
        self._sums: dict[str, Tensor] = {}
        self._spread: dict[str, Tensor] = {}
        self._parts = self._images = 0
        self._since = time.monotonic()

    def rewind(self, step: int) -> None:
        """Remove the lines after `step`, which the resumed run writes again."""
        if not self.accelerator.is_main_process or not self.path.exists():
            return
        kept = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except (ValueError, KeyError):  # the half-written line of a killed run
                continue
        write_text(self.path, "".join(kept))

    def add(self, losses: Losses, images: int) -> None:
        """Add the losses of one optimiser step, or of one of its equal parts, to the averages.

        Args:
            losses: the terms and notes of the step or part.
            images: the number of images over all processes.
        """
        for name, value in {**losses.terms, **losses.notes}.items():
            value = value.detach().float()
            if value.ndim:
                self._spread[name] = value
                value = value.mean()
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._parts += 1
        self._images += images

    def step(self, step: int, epoch: float, lr: float, progress: float, seconds: float, bar: Progress) -> None:
        """Write the averages since the last call.

        Args:
            step: the optimiser step.
            epoch: the epoch so far, with fraction.
            lr: the learning rate.
            progress: the completed share of the run, in [0, 1].
            seconds: the training time so far.
            bar: the progress bar to update.
        """
        spent = time.monotonic() - self._since
        values: dict[str, Any] = {name: float(total) / self._parts for name, total in self._sums.items()}
        eta = seconds * (1 - progress) / max(progress, 1e-9)
        line = {
            "step": step,
            "epoch": round(epoch, 4),
            "lr": lr,
            "images_per_s": round(self._images / max(spent, 1e-9), 1),
            "eta_s": round(eta),
            **values,
        }
        self._tracked(line)
        for name, spread in self._spread.items():
            counts = torch.histc(spread.clamp(0, 1).cpu(), bins=10, min=0, max=1)
            line[f"{name}_histogram"] = [int(count) for count in counts]
        self._write(line)
        shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        bar.at(progress * 100, f"epoch {epoch:.2f}  {shown}  lr {lr:.3g}  {line['images_per_s']:.0f} images/s")
        self._sums, self._spread, self._parts, self._images = {}, {}, 0, 0
        self._since = time.monotonic()

    def event(self, step: int, values: dict[str, Any], text: str, bar: Progress) -> None:
        """Write a measurement that does not belong to a single training step, and show it on the terminal."""
        self._write({"step": step} | values)
        self._tracked({"step": step} | values)
        bar.say(text)
        self._since = time.monotonic()

    def _write(self, line: dict[str, Any]) -> None:
        if self.accelerator.is_main_process:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    def _tracked(self, line: dict[str, Any]) -> None:
        numbers = {name: value for name, value in line.items() if name != "step" and isinstance(value, int | float)}
        self.accelerator.log(numbers, step=line["step"])
