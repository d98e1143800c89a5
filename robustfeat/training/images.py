"""The images of a run: the training images, and the held-out images that select its best weights."""

from __future__ import annotations

from robustfeat.data import ImageDataset, dataset, with_label_noise
from robustfeat.data.split import parse_split
from robustfeat.features.recipe import Recipe


def images_of(
    recipe: Recipe, given: ImageDataset | None, *, unlabelled: bool
) -> tuple[ImageDataset, ImageDataset | None]:
    """Return training and held-out images; the latter are None if nothing can be measured on them.

    Args:
        recipe: the recipe, which names data and splits.
        given: a data set that replaces the recipe's data, of which both splits are parts, whatever the name of their split.
        unlabelled: whether held-out images without labels are of use.

    Raises:
        ValueError: if `given` is a data set and train and held_out belong to different splits.
        Exception: whatever `dataset` raises.
    """
    if given is not None and parse_split(recipe.train).name != parse_split(recipe.held_out).name:
        raise ValueError(
            f"train {recipe.train!r} and held_out {recipe.held_out!r} are of different splits, and data that is given as an "
            "object is one; name parts of it, such as 'train[:90%]' and 'train[90%:]'"
        )

    def part(split: str) -> ImageDataset:
        if given is None:
            return dataset(recipe.data, split, image_size=recipe.image_size, image=recipe.image, label=recipe.label)
        return given.take(parse_split(split).rows(len(given), given.labels))

    train = part(recipe.train)
    held_out = None if train.labels is None and not unlabelled else part(recipe.held_out).head(recipe.eval_images)
    if recipe.label_noise:
        train = with_label_noise(train, recipe.label_noise, recipe.seed)
    return train, held_out
