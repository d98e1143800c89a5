"""Sizes of perturbations, in the units of images: pixels in [0, 1]."""

from __future__ import annotations

from fractions import Fraction


class Eps(float):
    """A perturbation size in pixel units of [0, 1] that reads and prints as a fraction of 255.

    >>> Eps("8/255")
    8/255
    >>> Eps(0.5)
    0.5
    """

    def __new__(cls, value: str | float) -> Eps:
        try:
            number = float(Fraction(value.replace(" ", "")) if isinstance(value, str) and "/" in value else value)
        except (ValueError, TypeError, OverflowError, ZeroDivisionError):
            raise ValueError(f"eps {value!r} is not a number; write a fraction like '8/255' or a decimal") from None
        if not 0 < number < float("inf"):
            raise ValueError(f"eps must be a positive number in pixel units of [0, 1], got {value!r}; try '8/255'")
        return super().__new__(cls, number)

    def __repr__(self) -> str:
        steps = round(min(float(self), 1.0) * 255)
        if 0 < steps < 255 and float(self) == steps / 255:
            return f"{steps}/255"
        return float.__repr__(self)

    __str__ = __repr__


def usual_eps(norm: str) -> Eps:
    """Return the size at which CIFAR-10 robustness is usually reported: 8/255 in linf, 128/255 in l2 (RobustBench)."""
    sizes = {"linf": Eps("8/255"), "l2": Eps("128/255")}
    if norm not in sizes:
        raise ValueError(f"norm must be 'linf' or 'l2', got {norm!r}")
    return sizes[norm]


def check_eps(norm: str, size: float, name: str = "eps", most: float = 1) -> None:
    """Check that a size in linf is within the range of pixels; a larger one was probably meant in steps of 1/255.

    In l2 images can be farther apart than 1.

    Args:
        norm: "linf" or "l2".
        size: the size in pixel units of [0, 1].
        name: name of the option, for the message.
        most: largest size that is allowed in linf.

    Raises:
        ValueError: the size is too large.
    """
    if norm == "linf" and size > most:
        meant = f"{size:g}/255" if size == int(size) and size <= 255 else "8/255"
        raise ValueError(
            f"{name} {size:g} is beyond the range of pixels, which are in [0, 1], in norm 'linf'; did you mean {meant}?"
        )
