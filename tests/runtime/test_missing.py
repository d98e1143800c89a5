"""Packages that are not there: what does not need them works, and what does says which, with the pip line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from image_files import AB, pixels, write_images, write_parquet

BLOCKER = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {absent!r} else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(Without, sys.meta_path)

def said(call):
    try:
        call()
    except ImportError as error:
        return str(error)
    return "nothing"
"""
TRAINED = """
import json
import robustfeat
from robustfeat import PGD, Eps, Recipe, Threat, tasks, index, report

folder = {folder!r}
data = robustfeat.dataset(folder)
recipe = Recipe(data=folder, train="train[:16]", held_out="train[16:]", student="cnn_tiny", stem="timm", batch_size=8,
                max_steps=1, steps=1, eval_steps=1, eval_images=4, channels_last=False, eps=Eps(0.1))
best = robustfeat.train("at", recipe, {out!r}, quiet=True)
extractor = robustfeat.load(best)
published = robustfeat.load(robustfeat.models()[0])
features = extractor.transform(data)
images = data.batch(data.labels[:4]).images
attacked = PGD(Threat("linf", Eps(0.1)), steps=2)(lambda x: extractor.network(x).logits.sum(1), images)
found = robustfeat.evaluate(extractor, ["probe"], data.take(range(12)), data.take(range(12, 20)), [PGD(steps=1)], progress=False)
names = sorted(set(sys.modules) & {absent!r})
print(json.dumps({{
    "classes": data.classes, "images": len(data), "features": list(features.shape), "attacked": list(attacked.shape),
    "published": published.feature_dim, "rows": len(found.rows), "loaded": names,
    "digits": said(lambda: robustfeat.dataset("digits")),
    "folder": said(lambda: robustfeat.dataset({images!r})),
    "hub": said(lambda: robustfeat.dataset("owner/name")),
    "gmm": said(lambda: tasks.named("anomaly:gmm")),
    "svm": said(lambda: tasks.DETECTORS["one-class-svm"]),
    "transformer": said(lambda: robustfeat.FeatureTransformer),
    "index": said(lambda: index.FeatureIndex(4)),
}}))
"""
ABSENT = {"datasets", "faiss", "jsonargparse", "sklearn"}


def run(code: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, env=environment)


def test_training_loading_and_attacking_need_few_packages(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data" / "train-0.parquet", pixels(20), label=([0, 1] * 10, AB))
    write_images(tmp_path / "images", pixels(2))
    paths = {"folder": str(tmp_path / "data"), "out": str(tmp_path / "run"), "images": str(tmp_path / "images")}
    done = run(BLOCKER.format(absent=ABSENT) + TRAINED.format(absent=ABSENT, **paths))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["classes"], found["images"], found["loaded"]) == (["a", "b"], 20, [])
    assert found["features"][0] == 20
    assert found["attacked"] == [4, 3, 8, 8]
    assert found["published"] > 0
    assert found["rows"] > 1
    for what, install in {
        "digits": "pip install scikit-learn",
        "folder": "nothing",
        "hub": "pip install datasets",
        "gmm": "pip install scikit-learn",
        "svm": "pip install scikit-learn",
        "transformer": "pip install scikit-learn",
        "index": "pip install 'robustfeat[cpu]'",
    }.items():
        assert install in found[what], f"{what}: {found[what]}"
        assert "\n" not in found[what]


@pytest.mark.parametrize("words", [["--help"], ["models"], ["train", "gacd", "--out", "x"]], ids=" ".join)
def test_the_command_line_without_its_parser(words: list[str]) -> None:
    done = run(
        BLOCKER.format(absent={"jsonargparse"})
        + f"from robustfeat.command_line.cli import main\nsys.exit(main({words!r}))"
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == ("robustfeat: the command line needs jsonargparse: pip install 'jsonargparse[signatures]'\n")
