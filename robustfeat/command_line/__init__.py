"""The command line has one file per command, and a program that finds and runs them."""
