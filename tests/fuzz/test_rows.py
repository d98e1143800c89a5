"""Random selections of rows against NumPy's own indexing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from robustfeat.data import MemoryImages

N = 7
ARRAY = np.arange(N)
INTEGERS = [np.int8, np.uint8, np.int16, np.int32, np.uint64, np.int64]


def data() -> MemoryImages:
    images = torch.arange(N, dtype=torch.uint8)[:, None, None, None].expand(N, 3, 2, 2).contiguous()
    return MemoryImages("rows", images, torch.arange(N), tuple("abcdefg"))


def as_given(values: list[Any], form: str, dtype: Any) -> Any:
    if form == "numpy":
        return np.array(values, dtype=dtype)
    if form == "torch":
        return torch.tensor(values, dtype=torch.bool if dtype is np.bool_ else torch.int64)
    return tuple(values) if form == "tuple" else values


FORMS = st.sampled_from(["list", "tuple", "numpy", "torch"])


@given(st.lists(st.integers(-2 * N, 2 * N), max_size=10), FORMS, st.sampled_from(INTEGERS))
def test_row_numbers(values: list[int], form: str, dtype: Any) -> None:
    if form == "numpy" and np.issubdtype(dtype, np.unsignedinteger):
        values = [abs(value) for value in values]
    rows = as_given(values, form, dtype)
    if any(not -N <= value < N for value in values):
        with pytest.raises(IndexError, match="is not among the 7 rows"):
            data().take(rows)
        return
    wanted = ARRAY[np.array(values, dtype=np.int64)]
    taken = data().take(rows)
    assert taken.labels is not None
    assert taken.labels.tolist() == wanted.tolist()
    assert taken.images[:, 0, 0, 0].tolist() == wanted.tolist()


@given(st.lists(st.booleans(), max_size=N + 2), FORMS)
def test_masks(values: list[bool], form: str) -> None:
    rows = as_given(values, form, np.bool_)
    if len(values) == N:
        assert data().take(rows).images[:, 0, 0, 0].tolist() == ARRAY[np.array(values)].tolist()
    elif values or form in ("numpy", "torch"):
        with pytest.raises(ValueError, match="one bool per row"):
            data().take(rows)


BOUND = st.none() | st.integers(-10, 10)


@given(BOUND, BOUND, st.none() | st.integers(-3, 3).filter(bool))
def test_slices(start: int | None, stop: int | None, step: int | None) -> None:
    rows = slice(start, stop, step)
    assert data().take(rows).images[:, 0, 0, 0].tolist() == ARRAY[rows].tolist()


@pytest.mark.usefixtures("_as_installed")
@given(st.lists(st.floats(allow_nan=True), min_size=1, max_size=N), st.sampled_from(["list", "numpy"]))
def test_floats_are_no_rows(values: list[float], form: str) -> None:
    with pytest.raises(TypeError, match="rows must be integers"):
        data().take(values if form == "list" else np.array(values))
