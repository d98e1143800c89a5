"""Each file of this package defines a command: its typed arguments, its help and an example; `cli.py` finds them here.

All of these files are imported for every help text, so the libraries of a command are imported when it runs: torch takes seconds.
"""
