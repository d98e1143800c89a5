"""Random cases, the same in every run: a failure that only one machine has seen helps nobody.

ROBUSTFEAT_FUZZ=1000 looks at so many cases of each test, other ones in each run.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

CASES = int(os.environ.get("ROBUSTFEAT_FUZZ", "0"))

settings.register_profile(
    "fuzz",
    max_examples=CASES or 40,
    derandomize=not CASES,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("fuzz")
