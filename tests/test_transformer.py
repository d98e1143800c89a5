"""The scikit-learn transformer: the features of the extractor in pipelines and searches, and words for what is no image."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import robustfeat
from robustfeat import FeatureTransformer
from robustfeat.card import Card
from robustfeat.data import MemoryImages
from robustfeat.extractor import FeatureExtractor
from robustfeat.random import generator
from robustfeat.testing import small_network

N = 24
LABELS = np.arange(N) % 2


@pytest.fixture
def pixels() -> torch.Tensor:
    """Random 8x8 images, as uint8 (n, 3, 8, 8); those with odd numbers are a little brighter."""
    random = torch.randint(0, 128, (N, 3, 8, 8), generator=generator(0), dtype=torch.uint8)
    return random + 16 * torch.from_numpy(LABELS).byte()[:, None, None, None]


@pytest.fixture
def images(pixels: torch.Tensor) -> np.ndarray:
    return (pixels.float() / 255).numpy()


@pytest.fixture
def paths(pixels: torch.Tensor, tmp_path: Path) -> list[str]:
    names = [str(tmp_path / f"{i}.png") for i in range(N)]
    for name, array in zip(names, pixels.permute(0, 2, 3, 1).numpy(), strict=True):
        Image.fromarray(array).save(name)
    return names


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two saved models."""
    found = [str(tmp_path_factory.mktemp("models") / str(seed)) for seed in (0, 1)]
    for seed, folder in enumerate(found):
        network = small_network(seed)
        robustfeat.save(folder, network, Card(str(seed), network.architecture, network.feature_dim))
    return found


def chain(model: str | FeatureExtractor) -> Pipeline:
    return make_pipeline(FeatureTransformer(model), StandardScaler(), LogisticRegression())


def test_the_features_are_those_of_the_extractor(
    extractor: FeatureExtractor, pixels: torch.Tensor, images: np.ndarray, paths: list[str]
) -> None:
    expected = extractor.transform(images)
    table = images.reshape(N, -1)
    sources = {
        "array": images, "float64": images.astype(float), "tensor": torch.from_numpy(images), "paths": paths,
        "tuple": tuple(paths), "array of paths": np.array(paths), "objects": np.array(paths, dtype=object),
        "column of paths": pd.Series(paths, index=range(5, 5 + N)), "pathlib": [Path(path) for path in paths],
        "PIL": [Image.open(path) for path in paths], "data set": MemoryImages("some", pixels, torch.from_numpy(LABELS)),
        "table": table, "fortran": np.asfortranarray(table), "frame": pd.DataFrame(table), "lists": table.tolist(),
        "table tensor": torch.from_numpy(table).requires_grad_(), "backwards": table[::-1].copy()[::-1],
    }  # fmt: skip
    for name, source in sources.items():
        for found in (
            FeatureTransformer(extractor).fit(source).transform(source),
            FeatureTransformer(extractor, batch_size=5).fit(images).transform(source),
        ):
            assert isinstance(found, np.ndarray), name
            assert found.dtype == np.float32, name
            np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=name)
    half = torch.from_numpy(table).bfloat16()
    found = FeatureTransformer(extractor).fit_transform(half)
    np.testing.assert_allclose(found, extractor.transform(half.float().view(-1, 3, 8, 8)), atol=1e-5)


def test_images_of_another_size_stay_what_they_are(extractor: FeatureExtractor) -> None:
    larger = torch.rand(3, 3, 16, 12, generator=generator(1))
    found = FeatureTransformer(extractor).fit(larger).transform(larger)
    np.testing.assert_allclose(found, extractor.transform(larger), atol=1e-5)


def test_what_is_fitted(extractor: FeatureExtractor, images: np.ndarray, folders: list[str]) -> None:
    for model in (extractor, folders[0], Path(folders[0])):
        transformer = FeatureTransformer(model, batch_size=3, device="cpu")
        assert (transformer.model, transformer.batch_size, transformer.device) == (model, 3, "cpu")
        assert transformer.fit(images, LABELS) is transformer
        assert transformer.n_features_out_ == 256
        assert transformer.n_features_in_ == 192
        assert transformer.extractor_.digest() == extractor.digest()
        assert list(transformer.get_feature_names_out()[[0, -1]]) == ["featuretransformer0", "featuretransformer255"]
    frame = pd.DataFrame(images.reshape(N, -1)).add_prefix("pixel")
    assert list(transformer.fit(frame).feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names should match"):
        transformer.transform(frame.iloc[:, ::-1])
    assert not hasattr(transformer.fit(images), "feature_names_in_")


def test_training_on_does_not_change_what_is_fitted(extractor: FeatureExtractor, images: np.ndarray) -> None:
    transformer = FeatureTransformer(extractor).fit(images)
    before = transformer.transform(images)
    with torch.no_grad():
        for parameter in extractor.parameters():
            parameter.add_(0.1)
    assert np.array_equal(transformer.transform(images), before)
    assert not np.allclose(transformer.fit(images).transform(images), before)


def test_copies_have_the_same_weights(extractor: FeatureExtractor, images: np.ndarray) -> None:
    unfitted = FeatureTransformer(extractor, batch_size=7)
    expected = extractor.transform(images)
    for make in (clone, copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))):
        other = make(unfitted)
        assert other.batch_size == 7
        assert other.model.digest() == extractor.digest()
        assert not hasattr(other, "extractor_")
        assert np.allclose(other.fit_transform(images), expected, atol=1e-5)
    fitted = pickle.loads(pickle.dumps(unfitted.fit(images)))
    assert np.allclose(fitted.transform(images), expected, atol=1e-5)
    assert not hasattr(clone(fitted), "extractor_")


def test_a_pipeline_is_what_one_does_by_hand(extractor: FeatureExtractor, images: np.ndarray, paths: list[str]) -> None:
    features = extractor.transform(images)
    scaler = StandardScaler().fit(features[:16])
    by_hand = LogisticRegression().fit(scaler.transform(features[:16]), LABELS[:16])
    expected = by_hand.predict_proba(scaler.transform(features[16:]))
    for source in (images, paths, images.reshape(N, -1)):
        found = chain(extractor).fit(source[:16], LABELS[:16]).predict_proba(source[16:])
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_cross_validation_cuts_paths_arrays_and_tables(
    extractor: FeatureExtractor, images: np.ndarray, paths: list[str]
) -> None:
    folds = [
        (np.flatnonzero(np.arange(N) // 8 != fold), np.flatnonzero(np.arange(N) // 8 == fold)) for fold in range(3)
    ]
    features = extractor.transform(images)
    expected = [LogisticRegression().fit(features[a], LABELS[a]).score(features[b], LABELS[b]) for a, b in folds]
    pipeline = make_pipeline(FeatureTransformer(extractor), LogisticRegression())
    for source in (paths, np.array(paths), pd.Series(paths), images, torch.from_numpy(images), images.reshape(N, -1)):
        scores = cross_val_score(pipeline, source, LABELS, cv=folds, error_score="raise")
        np.testing.assert_allclose(scores, expected)


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_a_grid_search_over_models(backend: str, paths: list[str], images: np.ndarray, folders: list[str]) -> None:
    network = small_network(2)
    third = FeatureExtractor(network, Card("third", network.architecture, network.feature_dim))
    grid = {"featuretransformer__model": [*folders, third], "logisticregression__C": [1e-3, 1.0]}
    with joblib.parallel_backend(backend, n_jobs=2):
        search = GridSearchCV(chain(folders[0]), grid, cv=2, scoring="neg_log_loss", error_score="raise").fit(
            paths, LABELS
        )
    scores = []
    for model in (*map(robustfeat.load, folders), third):
        features = model.transform(images)
        for c in (1e-3, 1.0):
            by_hand = make_pipeline(StandardScaler(), LogisticRegression(C=c))
            scores.append(cross_val_score(by_hand, features, LABELS, cv=2, scoring="neg_log_loss").mean())
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], scores, rtol=1e-3)
    assert len({round(score, 4) for score in scores}) == 6
    assert search.best_index_ == np.argmax(scores)


def test_frames_out(extractor: FeatureExtractor, images: np.ndarray, paths: list[str]) -> None:
    expected = extractor.transform(images)
    table = pd.DataFrame(images.reshape(N, -1), index=range(100, 100 + N)).add_prefix("pixel")
    for source in (table, images, paths):
        frame = FeatureTransformer(extractor).set_output(transform="pandas").fit_transform(source)
        assert isinstance(frame, pd.DataFrame)
        assert list(frame.columns) == [f"featuretransformer{i}" for i in range(256)]
        assert list(frame.index) == list(source.index if isinstance(source, pd.DataFrame) else range(N))
        np.testing.assert_allclose(frame.to_numpy(), expected, atol=1e-5)


def test_a_column_of_paths_beside_others(extractor: FeatureExtractor, images: np.ndarray, paths: list[str]) -> None:
    frame = pd.DataFrame({"age": np.arange(N), "photo": paths})
    mixed = ColumnTransformer([("photo", FeatureTransformer(extractor), "photo")], remainder="passthrough")
    found = mixed.fit_transform(frame)
    np.testing.assert_allclose(found[:, :256], extractor.transform(images), atol=1e-5)
    assert np.array_equal(found[:, 256], np.arange(N))


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
    with pytest.raises(ValueError, match="device 'abacus' can not be used"):
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
