"""What it costs to begin: `import robustfeat` against `import torch`, single names, and the help of every command.

CPU seconds, user and system, of fresh processes in turns. The first run of each, which may find its files not yet in memory, does
not count.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence

from robustfeat.command_line.cli import find_commands

IMPORTS = (
    "import torch",
    "import robustfeat",
    "from robustfeat import PGD, Eps, Threat",
    "from robustfeat.tasks import LinearProbe",
    "from robustfeat import dataset",
    "from robustfeat import evaluate",
    "import timm",
    "from robustfeat import load",
    "from robustfeat import train",
)


def seconds(code: str, *words: str) -> float:
    """Of one process."""
    child = subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def medians(runs: Sequence[tuple[str, ...]], rounds: int) -> list[float]:
    """Of each, in turns."""
    found = [[seconds(*run) for run in runs] for _ in range(rounds + 1)]
    return [statistics.median(column) for column in zip(*found[1:], strict=True)]


def helps() -> list[tuple[str, ...]]:
    """The words of each."""
    found = [("--help",), ("--version",), ("models",), ("tarin",)]
    for name, command in find_commands().items():
        found += [(name, "--help"), *((name, variant, "--help") for variant in command.variants or ())]
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each")
    rounds = parser.parse_args().rounds
    imports = medians([(line,) for line in IMPORTS], rounds)
    for line, found in zip(IMPORTS, imports, strict=True):
        print(f"{found:5.2f} s  {found / imports[0]:5.2f} of import torch  {line}")
    commands = helps()
    main = "from robustfeat.command_line.cli import main; raise SystemExit(main())"
    for words, found in zip(commands, medians([(main, *words) for words in commands], rounds), strict=True):
        print(f"{found:5.2f} s  robustfeat {' '.join(words)}")
