"""Two data sets that meet in an evaluation mean the same classes by the same names, whatever numbers they gave them."""

from __future__ import annotations

import pytest
import torch
from patterns import TEST, TRAIN

from robustfeat.data import ImageDataset, MemoryImages, with_outliers
from robustfeat.evaluation import evaluate
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.report import Report, markdown, table

NAMES = ("cat", "dog", "emu", "fox")
ORDER = (2, 0, 3, 1)  # place of each name in the other data set


def data(source: ImageDataset, names: tuple[str, ...], labels: torch.Tensor | None = None) -> MemoryImages:
    chosen = source.require_labels() if labels is None else labels
    return MemoryImages(source.name, source.pixels(torch.arange(len(source))), chosen, names)


def shuffled(source: ImageDataset) -> MemoryImages:
    """The same classes by name, under other numbers."""
    names = [""] * len(ORDER)
    for name, place in zip(NAMES, ORDER, strict=True):
        names[place] = name
    labels = torch.tensor([ORDER[label] for label in source.require_labels().tolist()])
    return data(source, tuple(names), labels)


def rows(report: Report) -> list[tuple[str, str, float]]:
    return [(row.task, row.metric, row.value) for row in report.rows]


def measure(extractor: FeatureExtractor, train: ImageDataset, test: ImageDataset) -> Report:
    return evaluate(extractor, ["probe", "anomaly:knn", "retrieval"], train, test, progress=False, examined=0)


def test_another_order_is_mapped(extractor: FeatureExtractor) -> None:
    expected = measure(extractor, data(TRAIN, NAMES), data(TEST, NAMES))
    found = measure(extractor, data(TRAIN, NAMES), shuffled(TEST))
    assert rows(found) == rows(expected)
    assert found.data == expected.data
    by_number = measure(extractor, data(TRAIN, ()), data(shuffled(TEST), ()))
    assert rows(by_number) != rows(expected)


def test_the_same_images_are_found_under_other_numbers(extractor: FeatureExtractor) -> None:
    with pytest.raises(ValueError, match="train and test are the same images"):
        measure(extractor, data(TRAIN, NAMES), shuffled(TRAIN))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("cat", "dog", "emu", "gnu"),
            "do not match: 'gnu' is not among the names of the other data set, 'cat', 'dog'",
        ),
        (("cat", "dog", "emu", "fox", "gnu"), "do not match: 'gnu' is not among"),
        (("Cat", "dog", "emu", "fox"), "do not match: 'Cat' is not among"),
        (("cat", "dog", "emu", "fox", "cat"), "a name is there twice"),
    ],
)
def test_other_names_are_refused(extractor: FeatureExtractor, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure(extractor, data(TRAIN, NAMES), data(TEST, names))


def test_classes_without_a_test_image_are_no_mistake(extractor: FeatureExtractor) -> None:
    """A folder of test images may lack one; the others keep the numbers they have in training."""
    kept = (TEST.require_labels() != 1).nonzero().squeeze(1)
    some = TEST.take(kept)
    renumbered = torch.tensor([0, -1, 1, 2])[some.require_labels()]
    found = measure(extractor, data(TRAIN, NAMES), data(some, ("cat", "emu", "fox"), renumbered))
    assert rows(found) == rows(measure(extractor, data(TRAIN, NAMES), data(some, NAMES)))


def test_labels_without_a_name_are_refused() -> None:
    wrong = data(TEST, NAMES[::-1], TEST.require_labels() - 1)
    with pytest.raises(ValueError, match="labels that are no number of its 4 classes"):
        wrong.numbered_as(NAMES)


@pytest.mark.parametrize("unnamed", [(), ("0", "1", "2", "3")])
def test_a_side_without_names_is_matched_by_number_and_said(
    extractor: FeatureExtractor, unnamed: tuple[str, ...]
) -> None:
    expected = rows(measure(extractor, data(TRAIN, NAMES), data(TEST, NAMES)))
    for train, test, which in ((NAMES, unnamed, "test"), (unnamed, NAMES, "training")):
        report = measure(extractor, data(TRAIN, train), data(TEST, test))
        assert rows(report) == expected
        word = f"classes were matched by their numbers, the {which} data has no names for them"
        for text in (table(report), markdown(report), table(Report.from_dict(report.as_dict()))):
            assert word in text
    assert "matched" not in table(measure(extractor, data(TRAIN, unnamed), data(TEST, unnamed)))


def test_outliers_need_no_name_in_the_training_data(extractor: FeatureExtractor) -> None:
    outliers = data(TRAIN.take(range(8)), ("sock", "hat", "shoe", "glove"))
    found = []
    for test in (data(TEST, NAMES), shuffled(TEST)):
        mixed = with_outliers(test, outliers)
        report = evaluate(extractor, ["ood"], data(TRAIN, NAMES), mixed, progress=False, examined=0)
        found.append((rows(report), report.data))
    assert found[0] == found[1]
