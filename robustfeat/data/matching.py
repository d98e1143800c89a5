"""This module matches the classes of two data sets, so that the same class has the same number."""

from __future__ import annotations

from robustfeat.data.store import ImageDataset


def matched(train: ImageDataset, test: ImageDataset) -> tuple[ImageDataset, str]:
    """Number the classes of `test` as those of `train`, by their names.

    If neither data set has names, the numbers identify the classes; if only one has, the classes are matched by number and the
    note says so.

    Returns:
        The test data, and a note, which is empty if there is nothing to report.

    Raises:
        ValueError: if `test` has classes that `train` does not have.
    """
    if train.names and test.names:
        return test.numbered_as(train.names), ""
    if not train.names and not test.names:
        return test, ""
    which = "training" if test.names else "test"
    return test, f"classes were matched by their numbers, the {which} data has no names for them"
