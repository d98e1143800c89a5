"""Industrial sets: what is normal, what is a defect, and where, whatever is done to the images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from image_files import everything, pixels, write_images
from mvtec_folder import SIDE, defect_mask, write_mvtec
from PIL import Image

from robustfeat.backbones.architecture import Framing
from robustfeat.data import MemoryImages, dataset
from robustfeat.data.square import fit_mask
from robustfeat.runtime.errors import BrokenImageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_mvtec(tmp_path / "part")


@pytest.mark.parametrize("in_memory", [True, False])
def test_normal_images_to_learn_from_and_defects_with_their_places(folder: Path, in_memory: bool) -> None:
    train, test = (dataset(folder, split, in_memory=in_memory) for split in ("train", "test"))
    assert train.classes == test.classes == ("good", "cut", "scratch")
    assert train.require_labels().tolist() == [0, 0]
    assert test.require_labels().tolist() == [0, 0, 1, 1, 2, 2]
    assert train.masks is not None
    assert test.masks is not None
    assert not train.masks.any()
    expected = [np.zeros((SIDE, SIDE), bool)] * 2 + [defect_mask("cut")] * 2 + [defect_mask("scratch")] * 2
    assert np.array_equal(test.masks.numpy(), expected)
    white = (everything(test) == 255).all(axis=3)
    assert np.array_equal(white, test.masks.numpy()), "a mask lies elsewhere than its defect"
    chosen = test.take([4, 0])
    assert chosen.masks is not None
    assert torch.equal(chosen.masks, test.masks[[4, 0]])
    assert chosen.fingerprint != test.fingerprint


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize(
    "framing", [None, Framing(0.5), Framing(1.0, "bicubic", "squash"), Framing(1.0, "bilinear", "border", (255, 0, 0))]
)
@pytest.mark.parametrize("shape", [(16, 16), (16, 24), (30, 16)])
def test_masks_are_scaled_and_cut_as_their_images(
    tmp_path: Path, framing: Framing | None, shape: tuple[int, int], in_memory: bool
) -> None:
    """A white square on black: where it is after scaling, the mask is, to half a pixel of the image around."""
    height, width = shape
    folder = write_mvtec(tmp_path)
    mask = np.zeros(shape, bool)
    mask[height // 2 - 3 : height // 2 + 2, width // 2 - 1 : width // 2 + 4] = True
    write_images(folder / "test" / "cut", np.repeat(mask[None, ..., None], 2, axis=0).repeat(3, axis=3) * np.uint8(255))
    for i in range(2):
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "ground_truth" / "cut" / f"{i}_mask.png")
    data = dataset(folder, "test", image_size=32, framing=framing, in_memory=in_memory)
    assert data.masks is not None
    assert data.masks.shape == (6, 32, 32)
    green = everything(data)[2, ..., 1]
    found = data.masks[2].numpy()
    assert found.any()
    assert found[green > 250].all(), "white, and not in the mask"
    assert not found[green < 5].any(), "in the mask, and black"


def test_nearest_by_plain_loops() -> None:
    mask = torch.rand(10, 10, generator=torch.Generator().manual_seed(0)) < 0.5
    for side in (5, 20, 7):
        expected = [
            [mask[int((y + 0.5) * 10 / side), int((x + 0.5) * 10 / side)] for x in range(side)] for y in range(side)
        ]
        assert fit_mask(mask, side).tolist() == torch.tensor(expected).tolist()


def test_the_mask_of_an_image_in_memory_is_scaled_with_it(folder: Path) -> None:
    test = dataset(folder, "test")
    assert test.masks is not None
    with pytest.raises(ValueError, match=r"masks must be bool \(2, 4, 4\).* torch.uint8"):
        MemoryImages("m", torch.zeros(2, 3, 4, 4).byte(), None, masks=torch.zeros(2, 4, 4).byte())
    with pytest.raises(ValueError, match=r"got torch.bool \(1, 4, 4\)"):
        MemoryImages("m", torch.zeros(2, 3, 4, 4).byte(), None, masks=torch.zeros(1, 4, 4).bool())


def test_masks_that_do_not_fit(folder: Path) -> None:
    mask = folder / "ground_truth" / "cut" / "1_mask.png"
    whole = mask.read_bytes()
    mask.unlink()
    with pytest.raises(
        ValueError, match=r"no mask for the defect in '.*test/cut/1\.png'; it should be '.*cut/1_mask\.png'"
    ):
        dataset(folder, "test")
    assert len(dataset(folder, "train")) == 2
    Image.fromarray(np.zeros((SIDE, SIDE + 1), np.uint8)).save(mask)
    with pytest.raises(
        ValueError, match=r"mask '.*cut/1_mask\.png' of .* is 17x16, its image 16x16; they must be alike"
    ):
        dataset(folder, "test")
    mask.write_bytes(whole[:20])
    with pytest.raises(BrokenImageError, match=r"broken mask in .*cut/1_mask\.png"):
        dataset(folder, "test", on_error="skip")
    mask.write_bytes(whole)
    stray = folder / "ground_truth" / "cut" / "7_mask.png"
    stray.write_bytes(whole)
    with pytest.raises(ValueError, match=r"no image for the mask '.*cut/7_mask\.png'"):
        dataset(folder, "test")
    stray.unlink()
    (folder / "ground_truth" / "good").mkdir()
    (folder / "ground_truth" / "good" / "0_mask.png").write_bytes(whole)
    with pytest.raises(ValueError, match=r"mask for the good image '.*test/good/0\.png'"):
        dataset(folder, "test")


def test_folders_that_are_no_classes(folder: Path) -> None:
    write_images(folder / "train" / "bent", pixels(1))
    with pytest.raises(ValueError, match=r"train/bent' is no class of .*, whose test split has good, cut, scratch"):
        dataset(folder, "train")
    with pytest.raises(KeyError, match="unknown split 'ground_truth'"):
        dataset(folder, "ground_truth")


def test_without_ground_truth_it_is_a_folder_of_images(folder: Path) -> None:
    (folder / "ground_truth").rename(folder.parent / "elsewhere")
    data = dataset(folder, "test")
    assert data.masks is None
    assert data.classes == ("cut", "good", "scratch")
