"""Every registered source keeps the contract, and a new one is one class."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import ClassLabel
from idx_files import write_idx
from image_files import AB, everything, pixels, write_images, write_parquet
from mvtec_folder import write_mvtec

from robustfeat.command_line.cli import main
from robustfeat.data import SOURCES, MemoryImages, Source, dataset
from robustfeat.data.sources import source_of
from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.runtime.registry import unknown
from robustfeat.testing import check_source, small_network


def parquet_folder(root: Path, **columns: ClassLabel) -> str:
    for split, seed in (("train", 0), ("test", 1)):
        labels = {name: ([0, 1, 1, 0], feature) for name, feature in columns.items()}
        write_parquet(root / f"{split}-0.parquet", pixels(4, seed), **labels)
    return str(root)


def named(root: Path, name: str, **columns: ClassLabel) -> str:
    """A single name whose files lie in the folder for data, which is `root`."""
    parquet_folder(root / name, **columns)
    return name


def image_folder(root: Path) -> str:
    for split in ("train", "test"):
        for kind in ("cat", "dog"):
            write_images(root / split / kind, pixels(3, seed=len(split + kind)))
    return str(root)


def idx_folder(root: Path, name: str = "idx") -> Path:
    for split in ("train", "test"):
        write_idx(root / name, split, pixels(3)[..., 0], [9, 0, 3])
    return root / name


def fashion(root: Path) -> str:
    return idx_folder(root, "fashion-mnist").name


# How to lay down data that a source takes, and its name.
DATA: dict[str, Callable[[Path], str]] = {
    "digits": lambda root: "digits",
    "fashion-mnist": fashion,
    "cifar10": lambda root: named(root, "cifar10", label=AB),
    "cifar100": lambda root: named(root, "cifar100", coarse_label=AB, fine_label=ClassLabel(num_classes=3)),
    "stl10": lambda root: named(root, "stl10", label=AB),
    "idx": lambda root: str(idx_folder(root)),
    "parquet": lambda root: parquet_folder(root, label=AB),
    "image-folder": image_folder,
    "mvtec": lambda root: str(write_mvtec(root)),
}


def test_every_source_that_needs_no_network_has_a_case() -> None:
    assert set(SOURCES) - {"hugging-face"} == set(DATA)


@pytest.mark.parametrize("name", DATA)
def test_the_contract(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBUSTFEAT_DATA", str(tmp_path))
    check_source(SOURCES[name](), DATA[name](tmp_path))


def test_the_hub_takes_what_no_file_is() -> None:
    for name, source in {
        "owner/name": "hugging-face",
        "owner/name:config": "hugging-face",
        "uoft-cs/cifar100": "cifar100",
    }.items():
        assert source_of(name).name == source
    assert SOURCES["cifar100"]().label == "fine_label", "also by its id"


def test_a_single_name_may_be_a_folder_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named(tmp_path, "cifar10", label=AB)
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(everything(dataset("cifar10")), pixels(4))


def test_idx_files_have_numbers_as_classes(tmp_path: Path) -> None:
    data = dataset(idx_folder(tmp_path))
    assert data.classes == tuple("0123456789")
    assert data.require_labels().tolist() == [9, 0, 3]
    (tmp_path / "idx" / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(KeyError, match=r"unknown split 'test'\. Known: train"):
        dataset(tmp_path / "idx", "test")


SPLITS = {"train": 12, "test": 6}


@pytest.fixture
def greys() -> Iterator[type[Source]]:
    """A source of one's own: images of one grey each, whose label says whether its number is odd."""

    @SOURCES.register("greys")
    class Greys(Source):
        """Flat grey squares."""

        def open(self, name: str, split: str) -> MemoryImages:
            if split not in SPLITS:
                raise unknown("split", split, SPLITS)
            levels = torch.arange(SPLITS[split]) * 20
            images = levels.byte()[:, None, None, None].expand(-1, 3, 8, 8).contiguous()
            return MemoryImages(name, images, torch.arange(len(levels)) % 2, ("even", "odd"))

    yield Greys
    del SOURCES._classes["greys"]


def test_one_class_is_a_source(greys: type[Source]) -> None:
    check_source(greys(), "greys")
    data = dataset("greys", "test[2:4]", image_size=16)
    assert data.pixels(torch.arange(2))[:, 0, 0, 0].tolist() == [40, 60]
    assert data.require_labels().tolist() == [0, 1]
    with pytest.raises(KeyError, match="unknown data set 'graye'; did you mean 'greys'"):
        dataset("graye")


@pytest.mark.usefixtures("greys")
def test_a_source_of_ones_own_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = small_network(0, classes=2)
    hub.save(tmp_path / "m", network, Card("m", network.architecture, network.feature_dim))
    assert main(["evaluate", str(tmp_path / "m"), "--data", "greys", "--task", "knn-probe", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["data"]["test"]["name"], report["data"]["test"]["images"]) == ("greys", SPLITS["test"])
    assert main(["evaluate", str(tmp_path / "m"), "--data", "grays", "--task", "knn-probe"]) == 2
    assert "did you mean 'greys'" in capsys.readouterr().err


def other_rows(cls: type[Source]) -> None:
    """Another order at every call."""
    calls = iter(range(100))

    def open_in_any_order(self: Source, name: str, split: str) -> Any:
        whole = cls.__mro__[0].__dict__["first"](self, name, split)
        return whole.take((torch.arange(len(whole)) + next(calls)) % len(whole))

    cls.first, cls.open = cls.open, open_in_any_order  # type: ignore[attr-defined, method-assign]


def any_split(cls: type[Source]) -> None:
    first = cls.open
    cls.open = lambda self, name, split: first(self, name, split if split in SPLITS else "train")  # type: ignore[method-assign]


def nameless(cls: type[Source]) -> None:
    first = cls.open

    def without_names(self: Source, name: str, split: str) -> Any:
        whole = first(self, name, split)
        whole.classes = ("even",)
        return whole

    cls.open = without_names  # type: ignore[method-assign]


def greedy(cls: type[Source]) -> None:
    cls.takes = lambda self, name: True  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (other_rows, "same images in the same order"),
        (any_split, "must raise UnknownNameError"),
        (nameless, "needs the name of its class"),
        (greedy, "takes must be False"),
    ],
)
def test_what_the_check_finds(greys: type[Source], spoil: Callable[[type[Source]], None], message: str) -> None:
    spoil(greys)
    with pytest.raises(AssertionError, match=message):
        check_source(greys(), "greys")
