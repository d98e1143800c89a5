"""What a table of features must hold, read by pyarrow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pyarrow import parquet as pq

from robustfeat.data import MemoryImages
from robustfeat.features.extractor import FeatureExtractor

ROWS = 23
SUFFIXES = (".parquet", ".safetensors")


def assert_right(out: Path, extractor: FeatureExtractor, data: MemoryImages) -> None:
    found = pq.read_table(out).to_pydict()
    assert list(found) == ["id", "path", "label", "class", "feature"]
    assert np.allclose(found["feature"], extractor.transform(data), atol=1e-5)
    assert found["id"] == list(range(len(data)))
    assert found["label"] == data.require_labels().tolist()
    assert tuple(found["path"]) == data.files
    assert found["class"] == [dict(enumerate(data.classes)).get(label) for label in found["label"]]
    assert [path.name for path in out.parent.iterdir()] == [out.name]
