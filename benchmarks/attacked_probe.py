"""What the benchmarks of attacks attack: a linear probe on a model's features, as our goal and as a bare function of images."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import robustfeat
from robustfeat.attacks import Attack, Goal, Threat
from robustfeat.evaluation.pipeline import Cases, Pipeline
from robustfeat.numerics.eps import Eps
from robustfeat.numerics.random import generator
from robustfeat.tasks import LinearProbe


@dataclass(frozen=True)
class AttackedProbe:
    """Test images with labels, the class scores that the probe gives them, and the threat."""

    images: Tensor
    labels: Tensor
    logits: Callable[[Tensor], Tensor]
    goal: Callable[[], Goal]
    threat: Threat

    @torch.no_grad()
    def right(self, images: Tensor) -> Tensor:
        """Which of these versions of the images are classified correctly, bool (n,)."""
        return self.logits(images).argmax(1) == self.labels

    def withstands(self, attack: Attack, seed: int = 0) -> tuple[Tensor, int]:
        """Which images withstand an attack of ours, bool (n,), and how many passes it took."""
        goal = self.goal()
        found = attack(goal, self.images, generator=generator(seed))
        return self.right(found), goal.effort.forwards + goal.effort.backwards


def from_command_line(parser: argparse.ArgumentParser) -> tuple[AttackedProbe, argparse.Namespace]:
    """The model and data that the arguments name; by default an adversarially trained network on digits, made here."""
    parser.add_argument("--model", default=None, help="a model folder or name (default: trains one on digits)")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--train", default="train[:10000]", help="split that the probe is fitted on")
    parser.add_argument("--images", type=int, default=500, help="test images")
    parser.add_argument("--norm", default="linf")
    parser.add_argument("--eps", type=Eps, default=None)
    options = parser.parse_args()
    if options.model is None:
        options.eps = options.eps or Eps(0.15)
        recipe = robustfeat.Recipe(student="cnn_small", stem="timm", eps=Eps(0.15), steps=5, crop=1, flip=False)
        options.model = robustfeat.train("at", recipe, Path(tempfile.mkdtemp()) / "digits")
    extractor = robustfeat.load(options.model)
    side = extractor.card.architecture.image_size
    train = robustfeat.dataset(options.data, options.train, image_size=side)
    test = robustfeat.dataset(options.data, "test", image_size=side).head(options.images)
    probe = LinearProbe().fit(torch.from_numpy(extractor.transform(train, progress=True)), train.require_labels())
    labels = test.require_labels()
    cases = Cases(torch.arange(len(test)), labels, torch.from_numpy(extractor.transform(test)))
    pipeline = Pipeline(extractor, probe.aims()[""], test, cases)
    everything = slice(0, len(test))
    threat = Threat(options.norm, options.eps)
    print(f"probe on {extractor.card.name}, {len(test)} test images of {test.name}, {threat}", flush=True)
    probed = AttackedProbe(
        pipeline.images(everything).contiguous(),  # the reference takes no other layout
        labels,
        lambda x: probe.logits(extractor(x)),
        lambda: pipeline.goal(everything),
        threat,
    )
    return probed, options
