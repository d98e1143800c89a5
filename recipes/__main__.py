"""The command `python -m recipes STAGE ... --data DIR --out DIR --minutes 8.5` runs the stages."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from recipes import STAGES

BEGIN = time.monotonic()  # before what is slow to import, for that takes from the minutes as well

UNFINISHED, LEFT_OUT = 75, 1  # exit codes, beside 0


def main(argv: Sequence[str] | None = None, *, begin: float | None = None) -> int:
    """Run the stages.

    Args:
        argv: the arguments; None takes those of the process.
        begin: the start of the call, by time.monotonic().

    Returns:
        0 if all is done, 75 if the same command has to continue, 1 if something was left out.
    """
    arguments = _arguments(argv)
    os.environ["ROBUSTFEAT_DATA"] = str(arguments.data.expanduser().resolve())

    import torch

    from recipes.clock import Clock
    from recipes.configuration import Overrides
    from recipes.folders import Folders
    from recipes.stages import run
    from recipes.travel import brought, pack

    torch.backends.cudnn.benchmark = True
    folders, overrides = Folders(arguments.out), Overrides.load(arguments.override)
    device = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    brought(folders)
    code, left_out = 0, []
    clock = Clock(60 * arguments.minutes, time.monotonic() if begin is None else begin)
    try:
        with clock:  # which may ring at once, where all the time has gone into imports
            for stage in arguments.stage:
                left_out += run(stage, folders, overrides, device)
    except KeyboardInterrupt as error:
        why = str(error) or "between two pieces of work"
        print(f"stopped after {clock}: {why}; the same command goes on", flush=True)
        code = UNFINISHED
    finally:
        pieces = pack(folders)
    for reason in left_out:
        print(f"left out: {reason}")
    print(f"{clock}: {len(pieces)} files to take along in {folders.travel}")
    return code or (LEFT_OUT if left_out else 0)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m recipes", description="Train and measure the published models.")
    parser.add_argument(
        "stage", nargs="+", choices=STAGES, help="one after another; what is done already is passed over"
    )
    parser.add_argument("--data", type=Path, required=True, help="a folder with cifar10/, cifar100/, fashion-mnist/")
    parser.add_argument("--out", type=Path, required=True, help="models, reports, logs; and work/, to go on from")
    parser.add_argument(
        "--minutes", type=float, default=8.5, help="of this call, from its start to its end (default: 8.5)"
    )
    parser.add_argument("--device", default=None, help="where models are measured (default: cuda, if there is one)")
    parser.add_argument(
        "--override", type=Path, default=None, help="a YAML file with train: and measure:, to change settings"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main(begin=BEGIN))
