"""Build an index of images, search it, and measure how an attack on the queries changes the results.

python examples/retrieval.py MODEL [DATA]
"""

import sys
import tempfile

import torch

import robustfeat
from robustfeat import PGD, Eps, Threat
from robustfeat.index import FeatureIndex

model, data = sys.argv[1], (sys.argv[2:] or ["digits"])[0]
extractor = robustfeat.load(model)
side = extractor.card.architecture.image_size
gallery, queries = (robustfeat.dataset(data, split, image_size=side) for split in ("train[:300]", "test[:20]"))

# Build in pieces, with metadata; save, and load for the extractor it was built with.
index = FeatureIndex(extractor.feature_dim, extractor=extractor.digest())
for batch in gallery.batches(100):
    index.add(extractor.transform(batch.images), metadata=[{"class": int(label)} for label in batch.labels])
folder = index.save(tempfile.mkdtemp())
index = FeatureIndex.load(folder, extractor=extractor.digest())


def found(images: torch.Tensor) -> list[int]:
    """Return the class of the nearest item for each image."""
    hits = index.search(extractor.transform(images), k=1)
    return [index.metadata[int(key)]["class"] for key in hits.ids[:, 0]]


# Attack: away from where the clean image lies. Any loss of images and features will do.
images, labels = queries.batch(torch.arange(len(queries))).images, queries.require_labels()
clean = extractor(images).detach()
attack = PGD(Threat("linf", Eps("8/255")), steps=10)
attacked = attack(lambda x: -torch.cosine_similarity(extractor(x), clean), images)

for name, pictures in {"clean": images, "attacked": attacked}.items():
    right = sum(c == int(label) for c, label in zip(found(pictures), labels, strict=True))
    print(f"{name}: recall@1 {right}/{len(labels)}")
