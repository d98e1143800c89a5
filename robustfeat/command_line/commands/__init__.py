"""The commands, one per file: a function with typed arguments, its help and an example. `cli.py` finds them here.

All of these files are imported for every help, so what a command works with is imported where it runs: torch takes seconds.
"""
