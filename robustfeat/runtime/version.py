"""The version of this package, defined only here: a checkout on PYTHONPATH has it without being installed."""

__version__ = "0.1.0"
