"""What a file of features says about its origin: the extractor, the data set, and which part of its rows is there."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass

from robustfeat.data import ImageDataset
from robustfeat.features.extractor import FeatureExtractor
from robustfeat.features.shard import Shard
from robustfeat.runtime.errors import IntegrityError
from robustfeat.runtime.version import __version__


@dataclass(frozen=True)
class Origin:
    """The origin of features.

    Args:
        model: the name of the model.
        sha256: the sha256 of its published weights, or "None".
        digest: `extractor.digest()`, of the architecture and the weights as they were.
        architecture: the architecture with its preprocessing (size, framing, mean, std) as JSON.
        threat: the threat model of training, such as "linf 8/255".
        dimension: the width of the features.
        data: the name of the data set.
        fingerprint: the fingerprint of the whole data set.
        images: the number of rows of the whole data set.
        classes: the names of its classes, in order.
        shard: the part of its rows that is in the file.
        version: the version of robustfeat that wrote the file.
    """

    model: str
    sha256: str
    digest: str
    architecture: str
    threat: str
    dimension: int
    data: str
    fingerprint: str
    images: int
    classes: tuple[str, ...]
    shard: Shard
    version: str

    @classmethod
    def of(cls, extractor: FeatureExtractor, data: ImageDataset, shard: Shard) -> Origin:
        """Return the origin of the features of a part of a data set."""
        card = extractor.card
        return cls(
            model=card.name,
            sha256=str(card.sha256),
            digest=extractor.digest(),
            architecture=json.dumps(dataclasses.asdict(card.architecture)),
            threat=card.threat,
            dimension=extractor.feature_dim,
            data=data.name,
            fingerprint=data.fingerprint,
            images=len(data),
            classes=data.classes,
            shard=shard,
            version=__version__,
        )

    def metadata(self) -> dict[str, str]:
        """Return the entries as texts, for the metadata of a file."""
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: str(value) for name, value in own.items()} | {"classes": json.dumps(self.classes)}

    @classmethod
    def read(cls, metadata: Mapping[str, str], file: str) -> Origin:
        """Return the origin that the metadata of a file state.

        Raises:
            IntegrityError: an entry is missing or damaged; the message names the file.
        """
        try:
            texts = {field.name: metadata[field.name] for field in dataclasses.fields(cls)}
            classes = json.loads(texts["classes"])
            if not isinstance(classes, list):
                raise ValueError(f"classes {classes!r} are no list")
            parsed = {
                "dimension": int(texts["dimension"]),
                "images": int(texts["images"]),
                "classes": tuple(map(str, classes)),
                "shard": Shard.parse(texts["shard"]),
            }
            return cls(**{**texts, **parsed})  # type: ignore[arg-type]
        except (KeyError, ValueError) as error:
            raise IntegrityError(
                f"{file!r} does not say what its features are of ({error}); extract them again with this version"
            ) from error
