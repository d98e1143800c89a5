from __future__ import annotations

import math

import pytest

from robustfeat.training.schedule import SCHEDULES, strength


@pytest.mark.parametrize("name", list(SCHEDULES))
@pytest.mark.parametrize("warmup", [0.0, 0.2])
def test_from_nothing_to_one_to_the_end(name: str, warmup: float) -> None:
    schedule = SCHEDULES[name]
    values = [schedule(i / 1000, warmup) for i in range(1001)]
    assert all(0 <= value <= 1 for value in values)
    assert max(values) == pytest.approx(1)
    rising = values[: round(1000 * warmup)]
    assert rising == sorted(rising)
    falling = values[round(1000 * warmup) :]
    assert falling == sorted(falling, reverse=True)


def test_known_values() -> None:
    assert SCHEDULES["cosine"](0.25, 0.0) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    assert SCHEDULES["onecycle"](0.6, 0.2) == pytest.approx(0.5)
    assert [SCHEDULES["multistep"](p, 0.0) for p in (0.49, 0.5, 0.75)] == pytest.approx([1, 0.1, 0.01])
    assert [strength(p, 0.5) for p in (0, 0.25, 0.5, 1)] == pytest.approx([0, 0.5, 1, 1])
    assert strength(0, 0) == 1
