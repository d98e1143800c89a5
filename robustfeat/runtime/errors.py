"""The errors that carry a meaning beyond Python's own; the command line maps each to an exit code.

A user's mistake is a ValueError, KeyError or FileNotFoundError; a missing package an ImportError.
"""

from typing import Self, SupportsFloat


class IntegrityError(RuntimeError):
    """A file is not what was written: wrong size, wrong sha256, not parseable."""


class BrokenImageError(ValueError):
    """The bytes of an image are damaged, are no image, or hold values of which nobody knows what they look like."""


class OfflineError(ConnectionError):
    """Something has to be downloaded and the network does not give it."""


class FullDiskError(OSError):
    """There is no space left; what was written before is untouched."""


class DivergedError(ArithmeticError):
    """A loss or a weight became NaN or infinite; the message names the step and the term."""

    @classmethod
    def of(cls, term: str, value: SupportsFloat, step: int) -> Self:
        """The error of a training step. `value` is read here, and not before: it may lie on a device."""
        return cls(
            f"term {term!r} became {float(value)} at step {step}; the checkpoints are untouched. "
            "Lower lr, raise warmup, or set clip"
        )


class CollapsedError(ValueError):
    """All features are equal: a network that has collapsed, or images that are all the same."""

    def __init__(self) -> None:
        super().__init__("all normal features are equal; there is no spread to measure distances by")


class InterruptedTraining(KeyboardInterrupt):
    """Training was interrupted, and saved itself first."""


class UnknownNameError(KeyError):
    """A name that is not registered; prints like other errors, without KeyError's quotes."""

    def __str__(self) -> str:
        return str(self.args[0])
