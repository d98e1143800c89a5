"""The published weights: what `robustfeat.load(NAME)` gives is what was measured when the model was published."""

from __future__ import annotations

import pytest
from repository import ROOT
from safetensors import safe_open

import robustfeat
from robustfeat.features.card import Card
from robustfeat.publishing import same_features
from robustfeat.publishing.results import published

PRETRAINED = ROOT / "pretrained"
CARDS = published(PRETRAINED)
SIZE = 80_000_000  # bytes of all weights together: they are part of every installation
each = pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)


@each
def test_the_features_are_those_of_publication(card: Card) -> None:
    extractor = robustfeat.load(card.name)
    assert same_features(extractor)
    assert not extractor.training


@each
def test_every_number_is_of_images_that_training_has_not_seen(card: Card) -> None:
    assert card.reports, "published without a number"
    assert card.limits, "published without a limit"
    for report in card.reports:
        assert report.setup.test == "test"


@each
def test_weights_are_in_half_precision(card: Card) -> None:
    for path in (PRETRAINED / card.name).glob("*.safetensors"):  # one file, or parts
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            assert {file.get_slice(name).get_dtype() for name in names} <= {"F16", "I64"}


def test_all_together_are_small() -> None:
    assert sum(file.stat().st_size for file in PRETRAINED.rglob("*.safetensors")) < SIZE


def test_what_a_student_learned_from_is_published_too() -> None:
    """Else `reproduce --full` could not train it again."""
    weights = {card.name: card.weights.sha256 for card in CARDS}
    for card in CARDS:
        for other in (card.teacher, card.start):
            assert not other or weights[other.name] == other.sha256
