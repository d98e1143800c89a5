"""Rows of every kind of data set: what NumPy takes, or an error that names the mistake."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from robustfeat.data import ImageDataset, MemoryImages, StreamedImages, overlap, with_outliers

pytestmark = pytest.mark.usefixtures("_as_installed")  # wrong types are what is tested

IMAGES = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1).expand(10, 3, 2, 2).contiguous()
LABELS = torch.arange(10) % 3
MEMORY = MemoryImages("memory", IMAGES, LABELS)
STREAMED = StreamedImages(
    "stream", lambda row: IMAGES[row].permute(1, 2, 0).numpy(), torch.arange(10), LABELS, (), 2, "fingerprint"
)
BOTH = with_outliers(MEMORY.take(range(5)), MEMORY.take(range(5, 10)))
MASK = [True, False, False, True, False, False, False, True, False, False]


def shown(data: ImageDataset) -> list[int]:
    return data.pixels(torch.arange(len(data)))[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("data", [MEMORY, STREAMED, BOTH], ids=["memory", "streamed", "outliers"])
@pytest.mark.parametrize(
    "rows",
    [
        [3, 1, 1], [-1, -10, 4], range(8, 2, -2), MASK, np.array(MASK), torch.tensor(MASK), slice(2, 5), slice(None, None, -3),
        slice(-3, None), np.array([7, 2], dtype=np.uint8), torch.tensor([1, 0, 1], dtype=torch.uint8),
        torch.tensor([-2, 9], dtype=torch.int8), np.array([], dtype=np.int64), [], slice(4, 4), [False] * 10, [np.int32(4)],
    ],
    ids=str,
)  # fmt: skip
def test_rows_are_those_that_numpy_takes(data: ImageDataset, rows: Any) -> None:
    index = rows if isinstance(rows, slice) else np.asarray(rows, dtype=None if len(rows) else np.int64)
    taken = data.take(rows)
    assert len(taken) == len(np.arange(10)[index])
    if len(taken):
        assert shown(taken) == np.arange(10)[index].tolist()
    assert taken.labels is not None
    assert data.labels is not None
    np.testing.assert_array_equal(taken.labels.numpy(), data.labels.numpy()[index])


@pytest.mark.parametrize("data", [MEMORY, STREAMED, BOTH], ids=["memory", "streamed", "outliers"])
@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([1.7, 2.2], TypeError, "rows must be integers or a mask of bools, got float64"),
        (torch.tensor([1.0]), TypeError, "got float32"),
        ("12", TypeError, "rows must be a sequence of row numbers, a mask or a slice, got '12'"),
        (3, TypeError, "got 3"),
        pytest.param(iter([1, 2]), TypeError, "rows must be a sequence", id="an iterator"),
        ([10], IndexError, "row 10 is not among the 10 rows"),
        ([0, -11], IndexError, "row -11 is not among the 10 rows"),
        (MASK[:4], ValueError, "one bool per row, 10 of them, got 4"),
        ([[1, 2], [3, 4]], ValueError, "one dimension"),
    ],
    ids=str,
)
def test_rows_that_are_none(data: ImageDataset, rows: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        data.take(rows)


@pytest.mark.parametrize("n", [0, -1, 2.5, True, "3", float("nan")], ids=repr)
def test_counts_that_are_none(n: Any) -> None:
    with pytest.raises(ValueError, match="n must be a whole number, at least 1"):
        MEMORY.head(n)
    with pytest.raises(ValueError, match="shots must be a whole number, at least 1"):
        MEMORY.shots(n)


def test_counts_of_numpy() -> None:
    assert shown(MEMORY.head(np.int64(3))) == [0, 1, 2]
    assert len(MEMORY.shots(np.int64(2))) == 6


@pytest.mark.parametrize(
    "labels", [torch.full((10,), 1.5), torch.ones(10, 3, dtype=torch.long)], ids=["floats", "one-hot"]
)
def test_labels_that_are_none(labels: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="labels must be integers"):
        MemoryImages("memory", IMAGES, labels)


def test_overlap_is_counted_by_image() -> None:
    one, two = MEMORY.take([0, 1, 2, 3]), STREAMED.take([9, 3, 3, 4, 0])
    assert overlap(one, two).tolist() == [False, True, True, False, True]
    assert not overlap(one, MEMORY.take([8, 9])).any()
    wider = MemoryImages("wider", torch.zeros(2, 3, 4, 4, dtype=torch.uint8), None)
    assert overlap(one, wider).tolist() == [False, False]
