"""The scikit-learn transformer has words for what is no image, no model and not fitted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.exceptions import NotFittedError
from transformer_images import N

from robustfeat import FeatureTransformer
from robustfeat.data import MemoryImages
from robustfeat.features.extractor import FeatureExtractor

REFUSED = {
    "NaN": (lambda x: x * np.nan, r"finite and in \[0, 1\], got values from nan"),
    "0 to 255": (lambda x: x * 255, r"in \[0, 1\], got values from .* divide by 255"),
    "uint8": (lambda x: (x * 255).astype(np.uint8), "must be float in .*, got torch.uint8"),
    "normalised": (lambda x: x - 0.5, r"in \[0, 1\], got values from -0.5 .*undo the normalisation"),
    "one image": (lambda x: x[0], r"4 dimensions \(n, c, h, w\), got shape \(3, 8, 8\)"),
    "channels last": (lambda x: x.transpose(0, 2, 3, 1), "the channels come last"),
    "two channels": (lambda x: x[:, :2], r"must have 3 channels \(or 1\)"),
    "no images": (lambda x: x[:0], "X has no images; give at least one"),
    "no paths": (lambda x: [], "X has no images; give at least one"),
    "empty data set": (lambda x: MemoryImages("none", torch.empty(0, 3, 8, 8, dtype=torch.uint8), None), "no images"),
    "table with NaN": (lambda x: x.reshape(N, -1) * np.nan, "Input X contains NaN"),
    "table 0 to 255": (lambda x: x.reshape(N, -1) * 255, r"in \[0, 1\], got values from .* divide by 255"),
    "table below 0": (lambda x: x.reshape(N, -1) - 0.5, "Negative values in data passed to X in FeatureTransformer"),
    "table of text": (lambda x: [["a", "b"]], "not compatible with arrays of bytes/strings"),
    "no rows": (lambda x: x.reshape(N, -1)[:0], r"Found array with 0 sample\(s\)"),
    "one row": (lambda x: x[0].ravel(), "Expected 2D array, got 1D array instead"),
    "arrays in a list": (lambda x: list(x), "dim 4"),
}  # fmt: skip


@pytest.mark.usefixtures("_as_installed")
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_image_is_named(extractor: FeatureExtractor, images: np.ndarray, name: str) -> None:
    change, message = REFUSED[name]
    fitted = FeatureTransformer(extractor).fit(images)
    for call in (FeatureTransformer(extractor).fit, FeatureTransformer(extractor).fit_transform, fitted.transform):
        with pytest.raises(ValueError, match=message):
            call(change(images))


@pytest.mark.parametrize("wrong", [None, 7, "image.png", Path("image.png"), Image.new("RGB", (8, 8)), iter([]), {}])
def test_what_is_not_several_images_is_named(extractor: FeatureExtractor, wrong: object) -> None:
    with pytest.raises(TypeError, match=r"X must be a list of paths .* got " + type(wrong).__name__):
        FeatureTransformer(extractor).fit(wrong)


def test_one_bad_pixel_in_the_last_image_is_seen_by_fit(extractor: FeatureExtractor, images: np.ndarray) -> None:
    images[-1, -1, -1, -1] = np.nan
    with pytest.raises(ValueError, match="nan"):
        FeatureTransformer(extractor).fit(images)


def test_the_width_of_a_table(extractor: FeatureExtractor, images: np.ndarray) -> None:
    table = images.reshape(N, -1)[:, :100]
    with pytest.raises(ValueError, match=r"must have 3 \* 8 \* 8 = 192 columns, the pixels of 8x8 images, got 100"):
        FeatureTransformer(extractor).fit(table)
    with pytest.raises(ValueError, match="X has 100 features, but FeatureTransformer is expecting 192 features"):
        FeatureTransformer(extractor).fit(images).transform(table)


def test_the_unfitted_and_the_unknown(extractor: FeatureExtractor, images: np.ndarray, tmp_path: Path) -> None:
    unfitted = FeatureTransformer(extractor)
    for call in (lambda: unfitted.transform(images), unfitted.get_feature_names_out):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            call()
    with pytest.raises(KeyError, match="no-such-model"):
        FeatureTransformer("no-such-model").fit(images)
    with pytest.raises(TypeError, match="model must be a name, a folder or a FeatureExtractor, got int"):
        FeatureTransformer(7).fit(images)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="device 'abacus' cannot be used"):
        FeatureTransformer(extractor, device="abacus").fit(images)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        FeatureTransformer(extractor, batch_size=0).fit(images)
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        unfitted.fit([str(tmp_path / "none.png")])
    (tmp_path / "page.png").write_text("<html>not found</html>")
    with pytest.raises(ValueError, match="is not an image that can be read"):
        unfitted.fit([tmp_path / "page.png"])
    fitted = FeatureTransformer(extractor).fit(images)
    with pytest.raises(KeyError):
        fitted.set_params(model="no-such-model").fit(images)
    for each in (unfitted, fitted):
        assert not hasattr(each, "extractor_"), "a fit that fails leaves it unfitted"
