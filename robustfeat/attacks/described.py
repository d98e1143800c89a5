"""The text forms of an attack: complete for files, short for people."""

from __future__ import annotations

import dataclasses
from typing import Any


class Described:
    """Base of dataclasses with a threat that are made with repr=False, so that they have the repr defined here."""

    @property
    def configuration(self) -> str:
        """Every option with its value, in Python syntax, as reports and records state it."""
        options = (f"{name}={_written(getattr(self, name))}" for name in self._usual())
        return f"{type(self).__qualname__}({', '.join(options)})"

    def __repr__(self) -> str:
        """Return the threat, the amount of work and the options that are not default: `PGD(linf 8/255, 40 steps, ...)`."""
        shown = []
        for place, (name, usual) in enumerate(self._usual().items()):
            value = getattr(self, name)
            if name == "threat":
                shown.append(str(value))
            elif value != usual or (place == 1 and _is_count(name, value)):  # how much is done comes behind the threat
                shown.append(_shown(name, value))
        return f"{type(self).__name__}({', '.join(shown)})"

    def _usual(self) -> dict[str, Any]:
        """Return the default of each option, the threat first."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]  # of a subclass, which is a dataclass
        return {field.name: field.default for field in fields}


def _written(value: Any) -> str:
    if isinstance(value, Described):
        return value.configuration
    if isinstance(value, tuple):
        return f"({', '.join(map(_written, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


def _is_count(name: str, value: Any) -> bool:
    return isinstance(value, int) and name.endswith("s")


def _shown(name: str, value: Any) -> str:
    return f"{value} {name}" if _is_count(name, value) and value != 1 else f"{name}={value!r}"
