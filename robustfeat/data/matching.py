"""Classes of two data sets that meet: the same class has the same number."""

from __future__ import annotations

from robustfeat.data.store import ImageDataset


def matched(train: ImageDataset, test: ImageDataset) -> tuple[ImageDataset, str]:
    """`test` with its classes numbered as those of `train`, by their names, and a word where that could not be done.

    Where both have no names, their numbers are the identity of their classes; where one has none, the word says so.
    Raises ValueError for classes of `test` that `train` does not have.
    """
    if train.names and test.names:
        return test.numbered_as(train.names), ""
    if not train.names and not test.names:
        return test, ""
    which = "training" if test.names else "test"
    return test, f"classes were matched by their numbers, the {which} data has no names for them"
