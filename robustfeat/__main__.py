"""python -m robustfeat, which is also what `accelerate launch -m robustfeat` runs."""

from robustfeat.command_line.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
