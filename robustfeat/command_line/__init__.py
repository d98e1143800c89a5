"""The command line: one file per command, and what finds and runs them."""
