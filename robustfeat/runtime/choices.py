"""Options with a fixed set of values: the parser checks flags, and this module checks values from Python and from grid files."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args, get_origin, get_type_hints


def check_choices(options: object) -> None:
    """Check all options whose type is a `Literal`: fields of a dataclass, or arguments of a constructor.

    Raises:
        ValueError: an option is none of the values of its `Literal`.
    """
    cls = type(options)
    for name, hint in get_type_hints(cls if dataclasses.is_dataclass(cls) else cls.__init__).items():
        if get_origin(hint) is Literal and (value := getattr(options, name)) not in get_args(hint):
            raise ValueError(f"{name} must be one of {', '.join(map(repr, get_args(hint)))}, got {value!r}")
