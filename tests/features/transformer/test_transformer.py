"""The scikit-learn transformer: the features of the extractor in pipelines and searches."""

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
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from transformer_images import LABELS, N

import robustfeat
from robustfeat import FeatureTransformer
from robustfeat.data import MemoryImages
from robustfeat.features.card import Card
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.numerics.random import generator
from robustfeat.testing import small_network


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
