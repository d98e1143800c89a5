"""The walk of one attacked batch, pixels to loss and back: budget `fast` on two probes, with an earlier checkout in turns.

python benchmarks/walk.py CHECKOUT [--images 64] [--learnt 5000] [--rounds 5]

CPU seconds of one attack in each of two processes that wait for their turn, one with the modules of this checkout, one with those
of CHECKOUT (`git worktree add CHECKOUT COMMIT`); and the calls of functions of the library in one more gradient step of PGD.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

TASKS = ("probe", "knn-probe")


def work(images: int, learnt: int) -> None:
    """Answer each line "TASK" with the seconds of an attack, and "TASK calls" with calls and files, until there are no more."""
    import torch

    from robustfeat.attacks import PGD, Attack, Fast, Threat
    from robustfeat.data import MemoryImages
    from robustfeat.evaluation.pipeline import Cases, Pipeline
    from robustfeat.features.card import Card
    from robustfeat.features.extractor import FeatureExtractor
    from robustfeat.numerics.eps import Eps
    from robustfeat.numerics.random import generator
    from robustfeat.tasks import TASKS as REGISTERED
    from robustfeat.testing import small_network

    network = small_network(0, classes=10)
    extractor = FeatureExtractor(network, Card("untrained", network.architecture, network.feature_dim))
    labels = torch.arange(learnt) % 10
    patterns = torch.rand(10, 3, 8, 8, generator=generator(1))
    noise = torch.rand(learnt, 3, 8, 8, generator=generator(2))
    data = MemoryImages("patterns", (255 * (0.5 * patterns[labels] + 0.5 * noise)).byte(), labels)
    features = torch.from_numpy(extractor.transform(data))
    threat, whole = Threat("linf", Eps(0.01)), slice(0, images)
    tested = data.take(torch.arange(images))
    cases = Cases(torch.arange(images), labels[:images], features[:images])
    pipelines = {
        name: Pipeline(extractor, REGISTERED[name]().fit(features, labels).aims()[""], tested, cases) for name in TASKS
    }

    def run(name: str, attack: Attack) -> None:
        pipeline = pipelines[name]
        attack(pipeline.goal(whole), pipeline.images(whole), generator=generator(0))

    for line in sys.stdin:
        name, *calls = line.split()
        if calls:
            one, two = (counted(partial(run, name, PGD(threat, steps=n))) for n in (1, 2))
            more = {where: two[where] - one.get(where, 0) for where in two if two[where] > one.get(where, 0)}
            print(sum(more.values()), len({file for file, _ in more}), flush=True)
        else:
            begin = time.process_time()
            run(name, Fast(threat, steps=10))
            print(time.process_time() - begin, flush=True)


def counted(function) -> dict[tuple[str, str], int]:  # type: ignore[no-untyped-def]
    """Calls of the functions of the library, by file and name."""
    import robustfeat

    folder, found = str(Path(robustfeat.__file__).parents[1]), {}

    def note(frame, event, _) -> None:  # type: ignore[no-untyped-def]
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(folder):
            found[code.co_filename, code.co_name] = found.get((code.co_filename, code.co_name), 0) + 1

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return found


class Worker:
    """A process with the modules of one checkout, which works when it is asked."""

    def __init__(self, checkout: Path, options: argparse.Namespace) -> None:
        command = [sys.executable, __file__, "--work", "--images", str(options.images), "--learnt", str(options.learnt)]
        environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)

    def ask(self, line: str) -> list[float]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return [float(word) for word in self.process.stdout.readline().split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path, nargs="?", help="a checkout of an earlier commit")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--learnt", type=int, default=5000, help="features that the tasks are fitted on")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.images, options.learnt)
        return
    here, there = (Worker(path.resolve(), options) for path in (Path(__file__).parents[1], options.checkout))
    for name in TASKS:
        for worker in (here, there):
            worker.ask(name)  # warm
        pairs = [(here.ask(name)[0], there.ask(name)[0]) for _ in range(options.rounds)]
        ratio = statistics.median(new / old for new, old in pairs)
        new, old = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"{name}, fast: {new:.2f} s of {old:.2f} s, ratio {ratio:.3f}")
        (calls, files), (before, files_before) = here.ask(f"{name} calls"), there.ask(f"{name} calls")
        print(
            f"{name}, one step more of PGD: {calls:.0f} calls in {files:.0f} files of {before:.0f} in {files_before:.0f}"
        )


if __name__ == "__main__":
    main()
