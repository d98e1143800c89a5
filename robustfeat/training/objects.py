"""Data sets and networks that are given to a run as objects and replace names in its recipe."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass

from robustfeat.backbones.network import Network
from robustfeat.data import ImageDataset
from robustfeat.features.card import Card
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.features.recipe import OBJECT, Recipe

Model = Network | FeatureExtractor


@dataclass(frozen=True)
class Objects:
    """The objects that replace names in a recipe.

    Args:
        data: all images; the recipe's splits are parts of them.
        student: the model whose weights initialise the student.
        teacher: the teacher with its head.

    Raises:
        TypeError: for objects of another type.
        ValueError: for a network that runs through torch.compile, which cannot be copied.
    """

    data: ImageDataset | None = None
    student: Model | None = None
    teacher: Model | None = None

    def __post_init__(self) -> None:
        if self.data is not None and not isinstance(self.data, ImageDataset):
            raise TypeError(f"data must be an ImageDataset, got {type(self.data).__name__}; make it MemoryImages")
        for role in ("student", "teacher"):
            given = getattr(self, role)
            if given is None:
                continue
            if not isinstance(given, Network | FeatureExtractor) or getattr(given, "grid", None) is not None:
                raise TypeError(
                    f"{role} must be a Network, or a FeatureExtractor of pooled features, got {type(given).__name__}; "
                    f"another module has no card to be saved with"
                )
            if (given.network if isinstance(given, FeatureExtractor) else given).compiled:
                raise ValueError(f"{role} runs through torch.compile and cannot be copied; give it as it was before")

    def recorded(self, recipe: Recipe) -> Recipe:
        """Return the recipe with names and digests of the given objects.

        Raises:
            ValueError: if the recipe has another entry for the same purpose.
        """
        entries: dict[str, str] = {}
        if self.data is not None:
            if recipe.image or recipe.label:
                raise ValueError("image and label are columns of a file; data that is given as an object has none")
            if recipe.image_size not in (None, self.data.image_size):
                raise ValueError(
                    f"image_size is {recipe.image_size}, and data that is given as an object has {self.data.image_size} pixels "
                    "per side; scale it, or leave image_size out"
                )
            entries["data"] = _text(self.data.name, self.data.fingerprint)
        if self.student is not None:
            entries["start"] = self._model(recipe, "start", self.student)
            architecture = loaded(self.student)[0].architecture
            entries |= {"student": architecture.name, "stem": architecture.stem}
        if self.teacher is not None:
            entries["teacher"] = self._model(recipe, "teacher", self.teacher)
        return dataclasses.replace(recipe, **entries)  # type: ignore[arg-type]

    @staticmethod
    def _model(recipe: Recipe, entry: str, given: Model) -> str:
        network, card = loaded(given)
        text = _text(card.name, FeatureExtractor(network, card).digest())
        if getattr(recipe, entry) not in (None, text):
            raise ValueError(f"the recipe has {entry} {getattr(recipe, entry)!r}, and an object was given; choose one")
        return text


def loaded(model: Model) -> tuple[Network, Card]:
    """Return a copy of a model on the CPU, as `load_network` would return it, and its card.

    The card does not describe a file of weights, because the current weights may differ from it.
    """
    network = model.network if isinstance(model, FeatureExtractor) else model
    mine = copy.deepcopy(network).cpu().float().requires_grad_(True).eval()
    if isinstance(model, FeatureExtractor):
        return mine, dataclasses.replace(model.card, weights=None)
    return mine, Card(network.architecture.name, network.architecture, network.feature_dim, head="trained")


def _text(name: str, digest: str) -> str:
    return f"{OBJECT}{name} sha256:{digest[:16]}"
