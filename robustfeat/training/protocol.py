"""The recipe by which `harden` trains photographs unless it is told otherwise; it needs no torch."""

from __future__ import annotations

from typing import Any

from robustfeat.numerics.eps import Eps

HARDENING: dict[str, Any] = {
    "eps": Eps("2/255"),
    "steps": 2,
    "minutes": 60.0,
    "batch_size": 64,
    "optimizer": "adamw",
    "lr": 5e-4,
    "ema": 0.99,
    "eval_minutes": 10.0,
    "eval_images": 200,
    "eval_steps": 5,
    "log_steps": 10,
}
"""The entries of `Recipe` that differ from its defaults: an hour on a CPU moves the features little and makes them stay there."""

GIVEN = ("data", "student", "stem", "start", "teacher")
"""The entries that follow from the model and the data."""
