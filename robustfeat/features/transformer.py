"""A scikit-learn transformer around an extractor, for pipelines, cross-validation and grid searches over models."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from robustfeat.data import ImageDataset, check_images
from robustfeat.features.extractor import FeatureExtractor, ImageSource
from robustfeat.features.hub import load
from robustfeat.runtime.needed import needed

with needed("FeatureTransformer", "sklearn", "scikit-learn"):
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils import Tags
    from sklearn.utils.validation import check_is_fitted, validate_data


class FeatureTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Transforms images into the features of `FeatureExtractor.transform`; no weights are trained.

    In all methods X is a list, array or column of paths or a list of PIL images, scaled and cropped to the size that the model
    was trained with; an array or tensor (n, 3, h, w) in [0, 1]; a data set (which scikit-learn's splitters cannot divide); or a
    table (n, 3 * side * side) in [0, 1] whose rows are such images, flattened, with sides of card.architecture.image_size.

    joblib's hash of a FeatureExtractor differs from that of its copy, so a pipeline with `memory` caches only if `model` is a
    name. scikit-learn's `check_estimator` uses random tables of 1 to 20 columns, which are refused because they are not images:
    only the checks that need no fit or expect a refusal pass. tests/test_transformer_checks.py lists them, and shows that all
    checks pass once such tables are replaced by images.

    Args:
        model: a name or folder that `robustfeat.load` understands, or a FeatureExtractor, which `fit` copies.
        batch_size: images per batch; None selects a size that is fast on the device.
        device: "cpu", "cuda", ...; the device that processes the images, whatever the device of `model`.

    Attributes:
        extractor_: the extractor, after `fit`.
        n_features_out_: the columns of the result, after `fit`.
        n_features_in_: the columns that a table must have, after `fit`.
        feature_names_in_: the column names, if `fit` was given a table with names.

    Raises:
        NotFittedError: before `fit`.
        TypeError: if X is not a collection of images.
        ValueError: for no images, NaN, values outside [0, 1], tables of another width and devices that cannot be used.
        FileNotFoundError: for a missing file.
        Exception: whatever `load` raises for an unknown or damaged model.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | FeatureExtractor,
        batch_size: int | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.model = model
        self.batch_size = batch_size
        self.device = device

    def fit(self, X: Any, y: object = None) -> FeatureTransformer:  # noqa: N803
        """Load the model, and check all images of an array or the first image of any other input. y is ignored."""
        for name in ("extractor_", "feature_names_in_"):  # so that a fit that fails leaves nothing of an earlier one
            self.__dict__.pop(name, None)
        extractor = self._new_extractor()
        self.n_features_in_ = 3 * extractor.card.architecture.image_size**2
        images = self._images(X, extractor, fitting=True)
        extractor.transform(
            images.take([0]) if isinstance(images, ImageDataset) else images[:1], batch_size=self.batch_size
        )
        self.extractor_ = extractor
        self.n_features_out_ = extractor.feature_dim
        return self

    def transform(self, X: Any) -> np.ndarray:  # noqa: N803
        """Compute features (n, d), float32."""
        check_is_fitted(self)
        images = self._images(X, self.extractor_, fitting=False)
        return self.extractor_.transform(images, batch_size=self.batch_size)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = []  # always float32
        return tags

    @property
    def _n_features_out(self) -> int:
        """The number of names that get_feature_names_out generates."""
        return self.n_features_out_

    def _new_extractor(self) -> FeatureExtractor:
        if isinstance(self.model, FeatureExtractor):
            extractor = copy.deepcopy(self.model)  # what is fitted stays as it is when the caller trains on
        elif isinstance(self.model, str | os.PathLike):
            extractor = load(self.model)
        else:
            raise TypeError(f"model must be a name, a folder or a FeatureExtractor, got {type(self.model).__name__}")
        try:
            return extractor.to(self.device)
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"device {str(self.device)!r} cannot be used: {error}") from error

    def _images(self, given: Any, extractor: FeatureExtractor, *, fitting: bool) -> ImageSource:
        """Return the input in a form that the extractor accepts, with at least one image."""
        images: ImageSource
        if isinstance(given, ImageDataset):
            images = given
        elif (files := _files(given)) is not None:
            images = files
        elif isinstance(given, Tensor | np.ndarray) and given.ndim > 2:
            images = check_images(torch.as_tensor(given))
        else:
            if isinstance(given, Tensor):
                given = given.detach().cpu()
                given = (given.float() if given.is_floating_point() else given).numpy()  # NumPy has no bfloat16
            rows = validate_data(self, given, reset=fitting, ensure_non_negative=True)
            images = check_images(torch.as_tensor(self._unflatten(rows, extractor.card.architecture.image_size)))
        if len(images) == 0:
            raise ValueError("X has no images; give at least one")
        return images

    def _unflatten(self, rows: np.ndarray, side: int) -> np.ndarray:
        """Reshape the rows of a table to images (n, 3, side, side)."""
        if rows.shape[1] != 3 * side * side:
            raise ValueError(
                f"a table must have 3 * {side} * {side} = {3 * side * side} columns, the pixels of {side}x{side} images, "
                f"got {rows.shape[1]}; give images of other sizes as an array (n, 3, h, w)"
            )
        return np.ascontiguousarray(rows).reshape(-1, 3, side, side)


def _files(given: Any) -> list[Any] | None:
    """Return the items of a list, tuple, array or column of paths or PIL images; None for arrays and tables."""
    listed = isinstance(given, Sequence) and not isinstance(given, str)
    if not listed and not hasattr(given, "__array__") and not hasattr(given, "shape"):
        raise TypeError(
            f"X must be a list of paths or PIL images, an array (n, 3, h, w), a table or a data set, got {type(given).__name__}"
        )
    if not listed and len(getattr(given, "shape", ())) != 1:
        return None
    items = list(given)
    return items if not items or isinstance(items[0], str | os.PathLike | Image.Image) else None
