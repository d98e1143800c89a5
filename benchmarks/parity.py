"""Our APGD against that of the reference (pyautoattack): which images of a linear probe withstand each, side by side.

Goal: robust accuracies within 0.4 points, at most 1 % of the images decided differently. How far two seeds of one attack
differ is printed beside it: no two attacks can agree better than that.
"""

from __future__ import annotations

import argparse
import time

import torch
from attacked_probe import AttackedProbe, from_command_line
from pyautoattack import AutoAttack as Reference
from torch import Tensor

from robustfeat.attacks import APGD
from robustfeat.attacks.reference import NORMS


def ours(probe: AttackedProbe, climb: str, seed: int) -> Tensor:
    """Which images withstand our APGD."""
    return probe.withstands(APGD(probe.threat, climb=climb), seed)[0]


def reference(probe: AttackedProbe, name: str, seed: int) -> Tensor:
    """Which images withstand the same attack of the reference."""
    with torch.random.fork_rng():
        attack = Reference(
            probe.logits,
            norm=NORMS[probe.threat.norm],
            eps=float(probe.threat.eps),
            version="custom",
            attacks=[name],
            seed=seed,
            device="cpu",
        )
        attack.apgd.n_restarts = 1  # as in its standard version; a custom one takes five
        found, _ = attack.run_standard_evaluation(probe.images, probe.labels)
    return probe.right(found)


def differ(one: list[Tensor], other: list[Tensor]) -> float:
    """Share of images that two runs with different seeds, or of different attacks, decide differently; mean over pairs."""
    pairs = [
        (a != b).float().mean() for i, a in enumerate(one) for j, b in enumerate(other) if one is not other or i < j
    ]
    return float(torch.stack(pairs).mean()) if pairs else float("nan")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="random starts of each attack")
    probe, options = from_command_line(parser)
    for name, climb in (("apgd-ce", "ce"), ("apgd-t", "dlr-*")):
        held: dict[str, list[Tensor]] = {"ours": [], "reference": []}
        seconds = {"ours": 0.0, "reference": 0.0}
        for seed in range(options.seeds):
            begin = time.monotonic()
            held["ours"].append(ours(probe, climb, seed))
            middle = time.monotonic()
            held["reference"].append(reference(probe, name, seed))
            seconds["ours"] += middle - begin
            seconds["reference"] += time.monotonic() - middle
        mean = {who: float(torch.stack(runs).float().mean()) for who, runs in held.items()}
        print(
            f"{name}, {options.seeds} seeds: robust accuracy ours {mean['ours']:.4f}, reference {mean['reference']:.4f}, "
            f"gap {100 * (mean['ours'] - mean['reference']):+.2f} points; images that differ: "
            f"{differ(held['ours'], held['reference']):.2%} between the two, {differ(held['ours'], held['ours']):.2%} "
            f"between seeds of ours, {differ(held['reference'], held['reference']):.2%} between seeds of the reference; "
            f"time ours / reference {seconds['ours'] / seconds['reference']:.2f}",
            flush=True,
        )
