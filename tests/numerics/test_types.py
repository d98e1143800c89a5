"""Eps: what is printed reads back as the same float, and only sizes are accepted."""

from __future__ import annotations

import copy
import math
import pickle
from fractions import Fraction

import numpy as np
import pytest
import torch

from robustfeat.numerics.eps import Eps
from robustfeat.numerics.types import Batch


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8/255", 8 / 255),
        (" 8 / 255 ", 8 / 255),
        ("0.5", 0.5),
        ("1e-3", 1e-3),
        ("1/3", 1 / 3),
        ("2", 2.0),
        (0.25, 0.25),
    ],
)
def test_reads_fractions_and_decimals(text: str | float, value: float) -> None:
    assert Eps(text) == value


def test_prints_and_reads_back_every_step_of_255() -> None:
    for k in range(1, 255):
        eps = Eps(k / 255)
        assert repr(eps) == str(eps) == f"{k}/255"
        assert Eps(repr(eps)) == eps == float(Fraction(k, 255))


def test_prints_and_reads_back_any_float() -> None:
    random = np.random.default_rng(0)
    values = [*(10 ** random.uniform(-300, 300, 2000)), *random.uniform(0, 1, 2000)]
    values += [5e-324, 1.0, math.nextafter(8 / 255, 0), math.nextafter(8 / 255, 1), 1.7976931348623157e308]
    for value in map(float, values):
        eps = Eps(value)
        assert Eps(repr(eps)) == eps == value


@pytest.mark.parametrize("value", [0, -1, -8 / 255, math.nan, math.inf, "0", "0/255", "-8/255", "nan", "inf", "1e400"])
def test_refuses_what_is_not_positive_and_finite(value: str | float) -> None:
    with pytest.raises(ValueError, match="must be a positive number"):
        Eps(value)


@pytest.mark.parametrize("value", ["", "word", "0/0", "8/0", "8/", "/255", "1/2/3", "8,255", None, []])
def test_refuses_what_is_not_a_number(value: object) -> None:
    with pytest.raises(ValueError, match="write a fraction like '8/255'"):
        Eps(value)  # type: ignore[arg-type]


def test_a_huge_exponent_costs_nothing() -> None:
    with pytest.raises(ValueError, match="positive number"):
        Eps("1e999999999999")


def test_is_a_float_that_survives_copies() -> None:
    eps = Eps("8/255")
    assert eps * 2 == 16 / 255
    for twin in (copy.deepcopy(eps), pickle.loads(pickle.dumps(eps))):
        assert isinstance(twin, Eps)
        assert repr(twin) == "8/255"


@pytest.mark.parametrize("labels", [None, torch.tensor([1, 0])])
def test_a_batch_keeps_its_parts_together(labels: torch.Tensor | None) -> None:
    batch = Batch(torch.zeros(2, 3, 4, 4), labels, torch.tensor([7, 9]))
    moved = batch.to("meta")
    assert len(batch) == len(moved) == 2
    assert moved.images.device.type == moved.rows.device.type == "meta"
    assert (moved.labels is None) == (labels is None)
