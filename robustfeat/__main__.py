"""The entry point of `python -m robustfeat`, which `accelerate launch -m robustfeat` also runs."""

from robustfeat.command_line.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
