"""Shapes are checked at run time in the tests: annotated functions of the library go through jaxtyping and beartype."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import jaxtyping
import pytest
import torch
from jaxtyping import install_import_hook

sys.path.insert(0, str(Path(__file__).parent / "helpers"))
# Not the tasks: beartype does not take `Self` on a method. Their shapes are checked by check_task.
CHECKED = (
    "attacks",
    "backbones.network",
    "data",
    "features.extractor",
    "numerics.losses",
    "objectives",
    "training.distiller",
    "training.heldout",
)
install_import_hook([f"robustfeat.{module}" for module in CHECKED], "shape_checker.check")

from linear_network import LinearNetwork  # noqa: E402
from torch import Tensor  # noqa: E402

from robustfeat.backbones.architecture import Architecture  # noqa: E402
from robustfeat.features.card import Card  # noqa: E402
from robustfeat.features.extractor import FeatureExtractor  # noqa: E402
from robustfeat.testing import small_network  # noqa: E402


@pytest.fixture(autouse=True)
def _global_generator_untouched() -> Iterator[None]:
    """Nothing in the library may seed or advance torch's global generator."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(torch.get_rng_state(), before), "the global random state was changed"


@pytest.fixture
def _as_installed() -> Iterator[None]:
    """Without the shape checks of the tests, which would speak before the library does."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def extractor() -> FeatureExtractor:
    """An untrained extractor for 8x8 images with 4 classes and 256 features."""
    network = small_network(0)
    return FeatureExtractor(network, Card("untrained", network.architecture, network.feature_dim))


@pytest.fixture(params=["told", "refused"])
def offline(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No Hub: either Hugging Face's variable says so, or nobody answers at its address."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound but not listening: nobody else can take the port
        if request.param == "told":
            monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        else:
            monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        yield


@pytest.fixture
def linear_extractor() -> Callable[[Tensor], FeatureExtractor]:
    """directions (192, d) -> an extractor for 8x8 images whose features are that linear map."""

    def make(directions: Tensor) -> FeatureExtractor:
        card = Card("linear", Architecture("linear", image_size=8), directions.shape[1])
        return FeatureExtractor(LinearNetwork(directions), card)

    return make
