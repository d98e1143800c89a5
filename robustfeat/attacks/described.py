"""How an attack is written: whole for files, short for people."""

from __future__ import annotations

import dataclasses
from typing import Any


class Described:
    """For dataclasses with a threat, made with repr=False, so that this repr is theirs."""

    @property
    def configuration(self) -> str:
        """Every option with its value, as Python would write it: what reports and records say of an attack."""
        options = (f"{name}={_written(getattr(self, name))}" for name in self._usual())
        return f"{type(self).__qualname__}({', '.join(options)})"

    def __repr__(self) -> str:
        """The threat, how much is done, and the options that are not the usual ones: `PGD(linf 8/255, 40 steps, ...)`."""
        shown = []
        for place, (name, usual) in enumerate(self._usual().items()):
            value = getattr(self, name)
            if name == "threat":
                shown.append(str(value))
            elif value != usual or (place == 1 and _is_count(name, value)):  # how much is done comes behind the threat
                shown.append(_shown(name, value))
        return f"{type(self).__name__}({', '.join(shown)})"

    def _usual(self) -> dict[str, Any]:
        """What each option is where nobody chooses it, the threat first."""
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
