"""The command `robustfeat index build | add | search | info | merge` manages an index of images."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jsonargparse import ArgumentParser

from robustfeat.command_line.command import Command, Result, add_on_error, add_reading
from robustfeat.report import contact_sheet
from robustfeat.runtime.errors import BrokenImageError
from robustfeat.runtime.progress import Progress

if TYPE_CHECKING:
    from robustfeat.data import Listing
    from robustfeat.features.extractor import FeatureExtractor
    from robustfeat.index import FeatureIndex

CHUNK = 64  # images that are decoded at once
TRAINING = 20_000  # images that a clustered or compressed index learns from


def _add_build(parser: ArgumentParser) -> None:
    parser.add_argument("model", type=str, help="a published name, a model folder, or timm:NAME")
    parser.add_argument("images", type=str, help="a folder of images, with all its folders")
    parser.add_argument("--factory", type=str, default=None, help="Flat (default), IVF256,Flat, HNSW32, PQ16, ...")
    parser.add_argument("--metric", type=str, default=None, help="cosine (default), inner_product or l2")
    parser.add_argument(
        "--like", type=str, default=None, help="an index: make a shard of one that it can be merged with"
    )
    parser.add_argument("--first_id", type=int, default=0, help="id of the first image; ids of shards must not repeat")
    add_reading(parser, on_error="skip")
    parser.add_argument("--device", type=str, default="cpu", help="cpu, cuda, ...")
    parser.add_argument("--out", type=str, required=True, help="folder for the index")


def _add_add(parser: ArgumentParser) -> None:
    parser.add_argument("index", type=str, help="a folder that index build wrote")
    parser.add_argument("images", type=str, help="a folder of images; those that are in the index are passed over")
    add_on_error(parser, "skip")
    parser.add_argument("--model", type=str, default=None, help="where the model lies now (default: where it was)")
    parser.add_argument("--device", type=str, default="cpu", help="cpu, cuda, ...")


def _add_search(parser: ArgumentParser) -> None:
    parser.add_argument("index", type=str, help="a folder that index build wrote")
    parser.add_argument("query", type=str, help="an image file")
    parser.add_argument("--k", type=int, default=10, help="how many images")
    parser.add_argument(
        "--mmap", action="store_true", help="leave the index in its file, where it is larger than memory"
    )
    parser.add_argument("--sheet", type=str, default=None, help="write a contact sheet here (PNG)")
    parser.add_argument("--model", type=str, default=None, help="where the model lies now (default: where it was)")
    parser.add_argument("--device", type=str, default="cpu", help="cpu, cuda, ...")


def _add_info(parser: ArgumentParser) -> None:
    parser.add_argument("index", type=str, help="a folder that index build wrote")


def _add_merge(parser: ArgumentParser) -> None:
    parser.add_argument(
        "shards", type=str, nargs="+", help="folders that index build wrote, with --like and --first-id"
    )
    parser.add_argument("--out", type=str, required=True, help="folder for the index")


def _build(values: dict[str, Any]) -> Result:
    from robustfeat.features import hub

    extractor = hub.load(values["model"], device=values["device"], image_size=values["image_size"])
    listing = _images_in(values["images"])
    paths = listing.paths
    index = _new(values, extractor)
    folder = Path(values["model"])
    index.notes["model"] = str(folder.resolve()) if folder.exists() else values["model"]
    if values["image_size"] is not None:
        index.notes["image_size"] = values["image_size"]
    if not index.trained:
        step = -(-len(paths) // TRAINING)
        some = [features for _, features in _features(extractor, paths[::step], "training", values["on_error"])]
        index.train(np.concatenate(some))
    return _fill(index, extractor, paths, listing, values["out"], values["on_error"], first=values["first_id"])


def _new(values: dict[str, Any], extractor: FeatureExtractor) -> FeatureIndex:
    from robustfeat.index import FeatureIndex

    if values["like"] is None:
        return FeatureIndex(
            extractor.feature_dim,
            factory=values["factory"] or "Flat",
            metric=values["metric"] or "cosine",
            extractor=extractor.digest(),
        )
    if values["factory"] or values["metric"]:
        raise ValueError("with --like, factory and metric are those of that index: leave --factory and --metric out")
    return FeatureIndex.load(values["like"], extractor=extractor.digest(), mmap=True).shard()


def _add(values: dict[str, Any]) -> Result:
    index, extractor = _open(values)
    if index.only_searched:
        raise ValueError(index.only_searched)
    known = {entry["path"] for entry in index.metadata.values()}
    listing = _images_in(values["images"])
    new = [path for path in listing.paths if str(path) not in known]
    return _fill(index, extractor, new, listing, values["index"], values["on_error"])


def _search(values: dict[str, Any]) -> Result:
    index, extractor = _open(values, mmap=values["mmap"])
    if not os.path.isfile(values["query"]):
        raise FileNotFoundError(f"no such image: {values['query']!r}")
    hits = index.search(extractor.transform([values["query"]]), min(values["k"], len(index)) if values["k"] > 0 else 0)
    found = [
        {"rank": rank, "score": round(float(score), 6), "id": int(key), **index.metadata.get(int(key), {})}
        for rank, (key, score) in enumerate(zip(hits.ids[0], hits.scores[0], strict=True), 1)
    ]
    if values["sheet"]:
        captions = ["query", *[f"{entry['rank']}: {entry['score']:.3f}" for entry in found]]
        contact_sheet([values["query"], *[entry["path"] for entry in found]], captions, values["sheet"])
    return Result("\n".join(f"{entry['rank']:>4}  {entry['score']:.4f}  {entry['path']}" for entry in found), found)


def _info(values: dict[str, Any]) -> Result:
    from robustfeat.index import FeatureIndex

    index = FeatureIndex.load(values["index"], mmap=True)
    facts = {
        "items": len(index),
        "width": index.dim,
        "factory": index.factory,
        "metric": index.metric,
        "extractor": index.extractor,
        "model": index.notes.get("model"),
    }
    return Result("\n".join(f"{name}: {value}" for name, value in facts.items()), facts)


def _merge(values: dict[str, Any]) -> Result:
    from robustfeat.index import FeatureIndex, merge

    index = FeatureIndex.load(merge(values["shards"], values["out"]), mmap=True)
    facts = {"items": len(index), "shards": len(values["shards"]), "index": values["out"]}
    return Result(f"{len(index)} images of {len(values['shards'])} shards in {values['out']}", facts)


def _open(values: dict[str, Any], *, mmap: bool = False) -> tuple[FeatureIndex, FeatureExtractor]:
    """Return an index with the extractor that it was built with, or with one that may search it."""
    from robustfeat.features import hub
    from robustfeat.index import FeatureIndex

    notes = FeatureIndex.load(values["index"], mmap=True).notes
    model = values["model"] or notes.get("model")
    if model is None:
        raise ValueError(f"the index {values['index']!r} does not say where its model lies; give --model")
    extractor = hub.load(model, device=values["device"], image_size=notes.get("image_size"))
    return FeatureIndex.load(values["index"], extractor=extractor.digests(), mmap=mmap), extractor


def _fill(
    index: FeatureIndex,
    extractor: FeatureExtractor,
    paths: Sequence[Path],
    listing: Listing,
    out: str,
    on_error: str,
    *,
    first: int = 0,
) -> Result:
    """Add the images of `paths`, and report in one line what was left out of them and of their listing."""
    added: set[Path] = set()
    for good, features in _features(extractor, paths, "index", on_error):
        ids = None if len(index) else np.arange(first, first + len(good))
        index.add(features, ids, [{"path": str(path)} for path in good])
        added.update(good)
    if not len(index):
        raise ValueError(f"none of the {len(paths)} files is an image that can be read")
    index.save(out)
    skipped = [str(path) for path in paths if path not in added]
    broken = [f"{len(skipped)} that cannot be read ({skipped[0]}{', ...' if skipped[1:] else ''})"] if skipped else []
    left_out = ", ".join(broken + ([listing.words()] if listing.left_out else []))
    text = f"{len(index)} images in {out}" + (f"\nleft out: {left_out}" if left_out else "")
    return Result(text, {"items": len(index), "skipped": skipped, "left_out": dict(listing.left_out), "index": out})


def _images_in(folder: str) -> Listing:
    """Return the images of a folder, as `dataset` finds them."""
    from robustfeat.data import images_below

    root = Path(folder).resolve()  # the index must mean the same images wherever it is used from
    if not root.is_dir():
        raise NotADirectoryError(f"no such folder of images: {folder!r}")
    listing = images_below(root)
    if not listing.paths:
        raise ValueError(f"folder {folder!r} has no image files")
    return listing


def _features(
    extractor: FeatureExtractor, paths: Sequence[Path], what: str, on_error: str
) -> Iterator[tuple[list[Path], np.ndarray]]:
    """Yield the features of the files, one chunk at a time; on_error "skip" leaves out those that cannot be read."""
    import torch

    from robustfeat.features.extractor import read_image

    with Progress(what, len(paths)) as bar:
        for start in range(0, len(paths), CHUNK):
            chunk = paths[start : start + CHUNK]
            found = {}
            for path in chunk:
                with suppress(BrokenImageError) if on_error == "skip" else nullcontext():
                    found[path] = read_image(path, extractor.card.architecture)
            if found:
                yield list(found), extractor.transform(torch.stack(list(found.values())))
            bar.advance(len(chunk))


ACTIONS = {"build": _build, "add": _add, "search": _search, "info": _info, "merge": _merge}

COMMAND = Command(
    "index",
    "Build and search an index of images by their features.",
    "robustfeat index build gacd-resnet18 photos/ --out photos.index; robustfeat index search photos.index query.png",
    lambda parser: None,
    lambda values: ACTIONS[values["action"]](values),
    variants={
        "build": ("Build an index from a folder of images.", _add_build),
        "add": ("Add images to an index.", _add_add),
        "search": ("Find the images most like one.", _add_search),
        "info": ("Say what an index holds.", _add_info),
        "merge": ("Make one index of several, on the disk.", _add_merge),
    },
    variant="action",
)
