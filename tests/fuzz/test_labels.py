"""Random label columns in parquet against the values that were written."""

from __future__ import annotations

import json
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from robustfeat import dataset

KINDS = [pa.int8(), pa.uint8(), pa.int16(), pa.int32(), pa.int64(), pa.uint64(), pa.bool_()]


def png(level: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (2, 2), (level,) * 3).save(file, "PNG")
    return file.getvalue()


def written(values: list[Any], kind: pa.DataType, names: list[str] | None) -> Path:
    table = pa.table({"image": [png(i) for i in range(len(values))], "label": pa.array(values, kind)})
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    if names is not None:
        features["label"] = {"_type": "ClassLabel", "names": names}
    path = Path(tempfile.mkdtemp()) / "table.parquet"
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})}), path)
    return path


@given(st.lists(st.integers(0, 3), min_size=2, max_size=12), st.sampled_from(KINDS))
def test_numbers(values: list[int], kind: pa.DataType) -> None:
    values = [value % 2 for value in values] if kind == pa.bool_() else values
    data = dataset(written([bool(v) for v in values] if kind == pa.bool_() else values, kind, None), label="label")
    assert data.labels is not None
    assert data.labels.tolist() == values
    assert data.classes == tuple(map(str, range(max(values) + 1)))


@given(st.lists(st.integers(0, 2), min_size=2, max_size=12), st.permutations(["ant", "bee", "cow"]))
def test_names(values: list[int], names: list[str]) -> None:
    data = dataset(written(values, pa.int64(), names))
    assert data.labels is not None
    assert [data.classes[label] for label in data.labels] == [names[value] for value in values]


@given(st.lists(st.floats(0, 3) | st.none(), min_size=2, max_size=6))
def test_what_is_no_class_number_is_refused(values: list[float | None]) -> None:
    with pytest.raises(ValueError, match="must hold a class number per row"):
        dataset(written(values, pa.float64(), None), label="label")


@given(st.lists(st.integers(0, 9), min_size=2, max_size=8), st.integers(0, 7))
def test_missing_numbers_are_refused(values: list[int], place: int) -> None:
    holes: list[int | None] = [*values]
    holes[place % len(values)] = None
    with pytest.raises(ValueError, match="must hold a class number per row"):
        dataset(written(holes, pa.int64(), None), label="label")


@given(st.lists(st.integers(-3, 5), min_size=2, max_size=8), st.integers(1, 4))
def test_numbers_without_a_class_are_refused(values: list[int], classes: int) -> None:
    names = [f"class {i}" for i in range(classes)]
    path = written(values, pa.int64(), names)
    if all(0 <= value < classes for value in values):
        assert dataset(path).classes == tuple(names)
    elif set(values) == {-1}:
        assert dataset(path).labels is None
    else:
        with pytest.raises(ValueError, match=r"label column 'label'.*\d"):
            dataset(path)
