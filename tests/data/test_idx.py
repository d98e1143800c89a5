"""IDX files, and what is said of damaged ones."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from idx_files import write_idx
from image_files import everything, pixels

from robustfeat.data import dataset


@pytest.fixture
def fashion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.setenv("ROBUSTFEAT_DATA", str(tmp_path))
    return write_idx(tmp_path / "fashion-mnist", "train", pixels(4)[..., 0], [9, 0, 3, 3])


@pytest.mark.usefixtures("fashion")
def test_idx_files(tmp_path: Path) -> None:
    write_idx(tmp_path / "fashion-mnist", "test", pixels(2, seed=1)[..., 0], [1, 2])
    train, test = dataset("fashion-mnist"), dataset("fashion-mnist", "test[1:]")
    assert train.classes[9] == "Ankle boot"
    assert train.require_labels().tolist() == [9, 0, 3, 3]
    assert test.require_labels().tolist() == [2]
    assert np.array_equal(everything(train), np.repeat(pixels(4)[..., :1], 3, axis=3))
    assert np.array_equal(everything(test), np.repeat(pixels(2, seed=1)[1:, ..., :1], 3, axis=3))


@pytest.mark.parametrize("which", [0, 1])
def test_damaged_idx_files_are_named(fashion: tuple[Path, Path], which: int) -> None:
    path = fashion[which]
    whole = path.read_bytes()
    content = gzip.decompress(whole)
    versions = [whole[:n] for n in (0, 5, 15, len(whole) // 2, len(whole) - 1)]
    random = np.random.default_rng(which)
    for at in random.integers(10, len(whole), 20):  # the ten bytes before hold no content
        versions.append(whole[:at] + bytes([whole[at] ^ 1 << int(random.integers(8))]) + whole[at + 1 :])
    inner = [content[:-1], content + b"\0", content[:4], content[:6], b"", b"\0\0\x0d" + content[3:]]
    inner += [content[:3] + b"\x02" + content[4:], b"P5\n" + content]
    for version in versions + [gzip.compress(text) for text in inner] + [content]:
        path.write_bytes(version)
        with pytest.raises(ValueError, match=path.name):
            dataset("fashion-mnist")


def test_idx_files_must_agree(fashion: tuple[Path, Path]) -> None:
    write_idx(fashion[0].parent, "train", pixels(4)[..., 0], [1, 2, 3])
    with pytest.raises(ValueError, match=r"has 4 images, .* has 3 labels"):
        dataset("fashion-mnist")
