"""Tasks by what people type: a name, or a name with the detector it uses."""

from __future__ import annotations

from typing import Any

from robustfeat.tasks.anomaly import DETECTORS
from robustfeat.tasks.base import TASKS, Task


def named(text: str) -> Task:
    """An unfitted task with its defaults: "probe", or "anomaly:gmm" for the task `anomaly` with that detector.

    Raises KeyError for unknown names, ValueError for a detector where the task has none or can not use it.
    """
    name, colon, detector = text.partition(":")
    task: Any = TASKS[name]
    if not colon:
        return task()
    if not hasattr(task(), "detector"):
        raise ValueError(f"task {name!r} has no detector; give {name!r} without {colon + detector!r}")
    return task(DETECTORS[detector]())


def base_name(title: str) -> str:
    """The registered name of a task in a report: "anomaly" of "anomaly:gmm-2".

    >>> base_name("anomaly:gmm-2"), base_name("probe-2"), base_name("probe")
    ('anomaly', 'probe', 'probe')
    """
    name = title.partition(":")[0]
    return name if name in TASKS else name.rpartition("-")[0]
