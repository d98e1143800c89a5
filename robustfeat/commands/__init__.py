"""The commands, one per file: a function with typed arguments, its help and an example. cli.py finds them here."""
