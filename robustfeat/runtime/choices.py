"""Options with a fixed set of values: the parser checks flags, and this module checks values from Python and from grid files."""

from __future__ import annotations

import dataclasses
from types import UnionType
from typing import Literal, Union, get_args, get_origin, get_type_hints


def check_choices(options: object) -> None:
    """Check all options whose type is a `Literal`: fields of a dataclass, or arguments of a constructor.

    Raises:
        ValueError: an option is none of the values of its `Literal`.
    """
    cls = type(options)
    for name, hint in get_type_hints(cls if dataclasses.is_dataclass(cls) else cls.__init__).items():
        parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        allowed = [choice for part in parts if get_origin(part) is Literal for choice in get_args(part)]
        value = getattr(options, name) if allowed else None
        if allowed and value not in allowed and not (value is None and type(None) in parts):
            raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
