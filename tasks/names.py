"""Tasks by their names on the command line, with an optional argument such as the detector."""

from __future__ import annotations

from robustfeat.tasks import TASKS
from robustfeat.tasks.base import Task


def named(text: str) -> Task:
    """Return an unfitted task by name.

    Args:
        text: a name such as "probe", or a name with an argument: "anomaly:gmm" (a detector), "retrieval:HNSW32" (an index),
            "head:MODEL".

    Raises:
        KeyError: for unknown names.
        ValueError: for an argument that the task does not have or cannot use.
    """
    name, colon, argument = text.partition(":")
    return TASKS[name].from_text(argument) if colon else TASKS[name]()
