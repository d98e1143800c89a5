"""The contract of objectives, attacks, tasks and data sources, as checks that anybody can run on his own: one call per class.

Each check raises AssertionError with what is wrong. They are what the library's own classes are tested with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustfeat.runtime.lazy import attach

if TYPE_CHECKING:
    from robustfeat.testing.attack import check_attack
    from robustfeat.testing.network import small_network
    from robustfeat.testing.objective import check_objective
    from robustfeat.testing.source import check_source
    from robustfeat.testing.task import check_task

__all__ = ["check_attack", "check_objective", "check_source", "check_task", "small_network"]

attach(__name__)
