"""Checks of the contracts of objectives, attacks, tasks and data sources, for classes of the library and for custom ones.

One call checks one class. Each check raises AssertionError with a message that says what is wrong. The library tests its own
classes with the same checks.
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
