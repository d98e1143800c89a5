"""The command `robustfeat extract MODEL` writes features to a file."""

from __future__ import annotations

from typing import Any, Literal

from jsonargparse import ArgumentParser

from robustfeat.command_line.command import Command, Result, add_columns, add_reading


def _add(parser: ArgumentParser) -> None:
    parser.add_argument("model", type=str, help="a published name, a model folder, or timm:NAME")
    parser.add_argument("--data", type=str, required=True, help="a data set")
    add_columns(parser)
    add_reading(parser)
    parser.add_argument("--split", type=str, default="test", help="split or part of one, such as train[:90%%]")
    parser.add_argument(
        "--out", type=str, required=True, help="a .parquet or .safetensors file; with --shard, a folder"
    )
    parser.add_argument(
        "--precision",
        type=Literal["float32", "float16"],
        default="float32",
        help="the type of the features in the file",
    )
    parser.add_argument(
        "--shard", type=str | None, default=None, help="i/n: compute the i-th of n parts of the rows, counted from 1"
    )
    parser.add_argument("--batch_size", type=int, default=256, help="images per batch")
    parser.add_argument("--device", type=str, default="cpu", help="cpu, cuda, ...")


def _run(values: dict[str, Any]) -> Result:
    from robustfeat.data import dataset
    from robustfeat.features import hub
    from robustfeat.features.extraction import extract
    from robustfeat.features.shard import WHOLE, Shard

    shard = None if values["shard"] is None else Shard.parse(values["shard"])
    extractor = hub.load(values["model"], device=values["device"], image_size=values["image_size"])
    architecture = extractor.card.architecture
    data = dataset(
        values["data"],
        values["split"],
        image_size=architecture.image_size,
        framing=architecture.framing,
        image=values["image"],
        label=values["label"],
        on_error=values["on_error"],
    )
    path = extract(
        extractor, data, values["out"], batch_size=values["batch_size"], precision=values["precision"], shard=shard
    )
    rows = (shard or WHOLE).rows(len(data))
    facts = {"file": str(path), "images": len(rows), "feature_dim": extractor.feature_dim}
    return Result(f"{facts['images']} x {facts['feature_dim']} features in {path}", facts)


COMMAND = Command(
    "extract",
    "Write the features of a data set to a file.",
    "robustfeat extract gacd-resnet18 --data cifar10 --split train --out features.parquet",
    _add,
    _run,
)
