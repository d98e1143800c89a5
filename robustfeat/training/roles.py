"""Teacher and student of a training run, built from its recipe."""

from __future__ import annotations

import dataclasses

from robustfeat.backbones.architecture import Architecture
from robustfeat.backbones.network import Network, new_network
from robustfeat.data import ImageDataset
from robustfeat.features import hub
from robustfeat.features.card import Card, ModelRef
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.features.recipe import Recipe
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


def student_of(recipe: Recipe, data: ImageDataset, given: Model | None = None) -> tuple[Network, ModelRef | None]:
    """Return the student and the reference to the model that it starts from, or None for a new network.

    The initial weights of a new network depend on the seed alone.

    Args:
        recipe: the recipe, which names the architecture and the model to start from.
        data: the training images.
        given: an object to use as the model to start from; None loads it by its name.

    Raises:
        ValueError: if the data has one class only, and if the model to start from has another architecture.
    """
    labels = data.labels
    classes = number_of_classes(data)
    if labels is not None and len(labels.unique()) < 2:
        raise ValueError(f"the training split of {data.name!r} has one class only; there is nothing to tell apart")
    if recipe.start is None:
        mean, std = data.mean_std()
        architecture = Architecture(recipe.student, recipe.stem, classes, data.image_size, mean, std)
        return new_network(architecture, recipe.seed), None
    source, card = hub.load_network(recipe.start) if given is None else loaded(given)
    if source.architecture.name != recipe.student or source.architecture.stem != recipe.stem:
        raise ValueError(
            f"start {recipe.start!r} is {source.architecture.name} with stem {source.architecture.stem}, "
            f"the student {recipe.student} with stem {recipe.stem}; they must be the same"
        )
    facts = _facts(source, card)
    # What is trained here is trained on images as `dataset` frames them.
    architecture = dataclasses.replace(source.architecture, classes=classes, framing=None)
    if source.architecture.classes == classes:
        source.architecture = architecture
        return source, facts
    network = new_network(architecture, recipe.seed)
    head = {id(parameter) for parameter in source.head.parameters()}
    own = {name for name, parameter in source.model.named_parameters() if id(parameter) in head}
    state = {name: value for name, value in source.model.state_dict().items() if name not in own}
    network.model.load_state_dict(state, strict=False)
    return network, facts
