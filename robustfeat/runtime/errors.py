"""The errors that carry a meaning beyond Python's own; the command line maps each to an exit code.

A mistake of the user is a ValueError, KeyError or FileNotFoundError; a missing package is an ImportError.
"""

from typing import Self, SupportsFloat


class IntegrityError(RuntimeError):
    """A file is not what was written: its size or sha256 is wrong, or it cannot be parsed."""


class BrokenImageError(ValueError):
    """The bytes of an image are damaged, are not an image, or hold values whose appearance is undefined."""


class OfflineError(ConnectionError):
    """A download is needed, and the network does not provide it."""


class FullDiskError(OSError):
    """There is no space left on the disk; what was written before is unchanged."""


class DivergedError(ArithmeticError):
    """A loss or a weight became NaN or infinite; the message names the step and the term."""

    @classmethod
    def of(cls, term: str, value: SupportsFloat, step: int) -> Self:
        """Return the error of a training step. `value` may lie on a device, so it is read only here."""
        return cls(
            f"term {term!r} became {float(value)} at step {step}; the checkpoints are untouched. "
            "Lower lr, raise warmup, or set clip"
        )


class CollapsedError(ValueError):
    """All features are equal: the network has collapsed, or all images are the same."""

    def __init__(self) -> None:
        super().__init__("all normal features are equal; there is no spread to measure distances by")


class InterruptedTraining(KeyboardInterrupt):
    """Training was interrupted, and saved its state first."""


class UnknownNameError(KeyError):
    """A name is not registered; the message prints like those of other errors, without the quotes of KeyError."""

    def __str__(self) -> str:
        return str(self.args[0])
