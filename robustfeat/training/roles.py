"""Teacher and student of a training run, built from its recipe."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from robustfeat.backbones.architecture import Architecture, Framing
from robustfeat.backbones.network import Network, new_network
from robustfeat.data import ImageDataset
from robustfeat.features import hub
from robustfeat.features.card import Card, ModelRef
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.features.recipe import STEM, STUDENT, Recipe
from robustfeat.objectives import Objective
from robustfeat.training.objects import Model, loaded


def teacher_of(
    recipe: Recipe, objective: Objective, given: Model | None = None
) -> tuple[Network | None, Card | None, ModelRef | None]:
    """Return the teacher, its card, and the reference to it; three times None if the recipe names no teacher.

    Args:
        recipe: the recipe, which names the teacher.
        objective: the training method.
        given: an object to use as the teacher that the recipe names.

    Raises:
        ValueError: if the objective requires a teacher and the recipe names none.
        Exception: whatever `load` raises.
    """
    if recipe.teacher is None:
        if objective.needs_teacher:
            raise ValueError(
                f"objective {objective.name!r} distils from a teacher; give a model folder or name as teacher"
            )
        return None, None, None
    network, card = hub.load_network(recipe.teacher) if given is None else loaded(given)
    return network, card, _facts(network, card)


def with_head_for(data: ImageDataset, network: Network | None, card: Card | None) -> Network | None:
    """Return the network if its head distinguishes the classes of the data, in their order; otherwise None."""
    if network is None or card is None or card.head == "none":
        return None
    if card.classes and data.classes:
        return network if card.classes == data.classes else None
    return network if network.architecture.classes == number_of_classes(data) else None  # one side has no names


def number_of_classes(data: ImageDataset) -> int:
    """Return the number of classes of a student of this data: 1 if the data has no labels."""
    if data.classes:
        return len(data.classes)
    return 1 if data.labels is None else int(data.labels.max()) + 1


def _facts(network: Network, card: Card) -> ModelRef:
    # One that comes straight from timm has no file of ours; what its weights are tells it from others just as well.
    digest = card.sha256 or FeatureExtractor(network, card).digest()
    return ModelRef(card.name, digest)


def start_of(recipe: Recipe, given: Model | None = None) -> tuple[Network, Card] | None:
    """Return the network that the student starts from, with its card; None for a student from scratch.

    Args:
        recipe: the recipe, which names the model to start from.
        given: an object to use as that model; None loads it by its name.
    """
    if recipe.start is None:
        return None
    return hub.load_network(recipe.start) if given is None else loaded(given)


def completed(recipe: Recipe, start: tuple[Network, Card] | None, *, sized: bool) -> Recipe:
    """Return the recipe with the student, stem and image size that it leaves open.

    Args:
        recipe: the recipe.
        start: the network that the student starts from, with its card.
        sized: whether the images have a size already, because they were given as an object.

    Raises:
        ValueError: if it names another student or stem than those of the network to start from.
    """
    if start is None:
        return dataclasses.replace(recipe, student=recipe.student or STUDENT, stem=recipe.stem or STEM)
    architecture = start[0].architecture
    if recipe.student not in (None, architecture.name) or recipe.stem not in (None, architecture.stem):
        raise ValueError(
            f"start {recipe.start!r} is {architecture.name} with stem {architecture.stem}, the student {recipe.student} with "
            f"stem {recipe.stem}; they must be the same, so leave student and stem out"
        )
    size = recipe.image_size if sized else recipe.image_size or architecture.image_size
    return dataclasses.replace(recipe, student=architecture.name, stem=architecture.stem, image_size=size)


class Original(NamedTuple):
    """The extractor that a student starts as, as indexes know it.

    Args:
        digest: its digest before training, at the image size of training.
        framing: how it makes photographs squares.
    """

    digest: str
    framing: Framing | None

    @classmethod
    def of(cls, start: tuple[Network, Card] | None, image_size: int) -> Original | None:
        """Return the original of a start; None for a student from scratch."""
        if start is None:
            return None
        extractor = FeatureExtractor(*start).sized(image_size)
        return cls(extractor.digest(), extractor.card.architecture.framing)


def student_of(
    recipe: Recipe, data: ImageDataset, start: tuple[Network, Card] | None = None
) -> tuple[Network, ModelRef | None]:
    """Return the student and the reference to the model that it starts from, or None for a new network.

    The initial weights of a new network depend on the seed alone.

    Args:
        recipe: the recipe, as `completed` returns it.
        data: the training images.
        start: the network to start from, with its card.

    Raises:
        ValueError: if the data has one class only.
    """
    assert recipe.student is not None
    assert recipe.stem is not None
    labels = data.labels
    classes = number_of_classes(data)
    if labels is None and start is not None:
        classes = start[0].architecture.classes  # nothing says that its head should go
    if labels is not None and len(labels.unique()) < 2:
        raise ValueError(f"the training split of {data.name!r} has one class only; there is nothing to tell apart")
    if start is None:
        mean, std = data.mean_std()
        architecture = Architecture(recipe.student, recipe.stem, classes, data.image_size, mean, std)
        return new_network(architecture, recipe.seed), None
    source, card = start
    facts = _facts(source, card)
    # What is trained here is trained on images as `dataset` frames them.
    size = data.image_size
    architecture = dataclasses.replace(source.architecture, classes=classes, image_size=size, framing=None)
    if source.architecture.classes == classes:
        source.architecture = architecture
        return source, facts
    network = new_network(architecture, recipe.seed)
    head = {id(parameter) for parameter in source.head.parameters()}
    own = {name for name, parameter in source.model.named_parameters() if id(parameter) in head}
    state = {name: value for name, value in source.model.state_dict().items() if name not in own}
    network.model.load_state_dict(state, strict=False)
    return network, facts
