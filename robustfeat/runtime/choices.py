"""Options that are one of a few words: flags are checked by the parser, Python and grid files have to be checked here."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args, get_origin, get_type_hints


def check_choices(options: object) -> None:
    """ValueError where an option, a dataclass's field or a constructor's argument, is none of the words of its `Literal`."""
    cls = type(options)
    for name, hint in get_type_hints(cls if dataclasses.is_dataclass(cls) else cls.__init__).items():
        if get_origin(hint) is Literal and (value := getattr(options, name)) not in get_args(hint):
            raise ValueError(f"{name} must be one of {', '.join(map(repr, get_args(hint)))}, got {value!r}")
