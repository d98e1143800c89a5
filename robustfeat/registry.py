"""Name -> class. A class registers itself where it is defined; a folder imports its own modules, so one file is enough."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from robustfeat.errors import UnknownNameError

T = TypeVar("T")


def unknown(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """The error for a name nobody knows, with the nearest ones that exist.

    >>> print(unknown("objective", "gcad", ["gacd", "at"]))
    unknown objective 'gcad'; did you mean 'gacd'? Known: at, gacd
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return UnknownNameError(f"unknown {kind} {name!r}{hint} Known: {', '.join(names) or 'none'}")


class Registry(Generic[T]):
    """The classes of one kind by their public name.

    >>> fruits = Registry[type]("fruit")
    >>> @fruits.register("apple")
    ... class Apple: ...
    >>> fruits["apple"].__name__
    'Apple'
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._classes: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[type], type]:
        """Class decorator; a name can be taken once."""

        def add(cls: type) -> type:
            if name in self._classes:
                raise ValueError(f"{self.kind} {name!r} is registered already, by {self._classes[name].__qualname__}")
            cls.name = name  # type: ignore[attr-defined]
            self._classes[name] = cls
            return cls

        return add

    def __getitem__(self, name: str) -> type[T]:
        if name not in self._classes:
            raise unknown(self.kind, name, self._classes)
        return self._classes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._classes))

    def __len__(self) -> int:
        return len(self._classes)


def import_siblings(package: str, path: Iterable[str]) -> None:
    """Import every module of a package, so that the classes in it register themselves."""
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f"{package}.{module.name}")
