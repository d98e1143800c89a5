"""Tasks by what people type: a name, or a name with the detector it uses."""

from __future__ import annotations

from robustfeat.tasks import TASKS
from robustfeat.tasks.base import Task


def named(text: str) -> Task:
    """An unfitted task: "probe", or with what the task takes an argument for: "anomaly:gmm" (a detector), "retrieval:HNSW32" (an
    index), "head:MODEL".

    Raises KeyError for unknown names, ValueError for an argument where the task has none or cannot use it.
    """
    name, colon, argument = text.partition(":")
    return TASKS[name].from_text(argument) if colon else TASKS[name]()
