"""scikit-learn's own checks of estimators on FeatureTransformer."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils import estimator_checks

import robustfeat
from robustfeat import FeatureTransformer
from robustfeat.features.card import Card
from robustfeat.testing import small_network


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A saved model for 8x8 images."""
    network, path = small_network(0), str(tmp_path_factory.mktemp("model"))
    robustfeat.save(path, network, Card("untrained", network.architecture, network.feature_dim))
    return path


class OnTables(FeatureTransformer):
    """Takes tables of any width: squashed to [0, 1] and repeated until they fill an image. Everything else is as it is."""

    def _unflatten(self, rows: np.ndarray, side: int) -> np.ndarray:
        return super()._unflatten(np.resize((rows / (1 + rows)).T, (3 * side * side, len(rows))).T, side)


def verdicts(transformer: FeatureTransformer, status: str) -> list[str]:
    """The checks of scikit-learn that ended so, each with why. Some run twice, with other arguments."""
    results = estimator_checks.check_estimator(transformer, on_skip=None, on_fail=None)
    assert len(results) > 40
    return [f"{r['check_name']}: {r['exception'] or ''}" for r in results if r["status"] == status]


@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
def test_all_checks_of_sklearn_pass_on_tables_that_are_images(folder: str) -> None:
    """scikit-learn itself skips one, check_array_api_input, unless SCIPY_ARRAY_API=1 is in the environment."""
    assert verdicts(OnTables(folder), "failed") == []
    for check in (
        estimator_checks.check_transformer_get_feature_names_out,
        estimator_checks.check_transformer_get_feature_names_out_pandas,
        estimator_checks.check_set_output_transform,
        estimator_checks.check_set_output_transform_pandas,
        estimator_checks.check_global_output_transform_pandas,
        estimator_checks.check_dataframe_column_names_consistency,
    ):
        check("OnTables", OnTables(folder))


def test_sklearns_own_tables_are_no_images(folder: str) -> None:
    """As it is: every check that fails does so because a table of that width is refused."""
    failed = verdicts(FeatureTransformer(folder), "failed")
    assert all("a table must have 3 * 8 * 8 = 192 columns" in verdict for verdict in failed), failed
    passed = """
        check_estimator_cloneable check_estimator_tags_renamed check_valid_tag_types check_estimator_repr
        check_no_attributes_set_in_init check_estimators_unfitted check_do_not_raise_errors_in_init_or_set_params
        check_mixin_order check_positive_only_tag_during_fit check_complex_data check_estimators_empty_data_messages
        check_estimator_sparse_tag check_estimator_sparse_array check_estimator_sparse_matrix check_transformers_unfitted
        check_transformer_n_iter check_parameters_default_constructible check_get_params_invariance check_set_params
        check_fit1d check_fit_non_negative
    """
    assert set(passed.split()) <= {verdict.split(":")[0] for verdict in verdicts(FeatureTransformer(folder), "passed")}
