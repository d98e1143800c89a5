"""Registries of classes by name. A class registers itself in the file that defines it, which is imported on first use."""

from __future__ import annotations

import ast
import difflib
import importlib
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from robustfeat.runtime.errors import UnknownNameError

T = TypeVar("T")


def unknown(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Return the error for an unknown name, with the nearest name that exists.

    >>> print(unknown("objective", "gcad", ["gacd", "at"]))
    unknown objective 'gcad'; did you mean 'gacd'? Known: at, gacd
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return UnknownNameError(f"unknown {kind} {name!r}{hint} Known: {', '.join(names) or 'none'}")


class Written(NamedTuple):
    """A registered class, as read from a source file.

    Args:
        module: the module that defines the class.
        attribute: the name of the class in the module.
        summary: the first line of its docstring.
    """

    module: str
    attribute: str
    summary: str


class Registry(Generic[T]):
    """The classes of one kind by their public name.

    Args:
        kind: the name of the kind, for messages.
        package: the package that the registry belongs to. Classes in its files that are decorated with
            `@variable.register("name")` are found in the source, and imported when they are looked up. Without a package,
            classes register when they are defined.
        variable: the name of the registry in the package.

    >>> fruits = Registry[type]("fruit")
    >>> @fruits.register("apple")
    ... class Apple:
    ...     '''Keeps the doctor away.'''
    >>> fruits["apple"].__name__
    'Apple'
    >>> fruits.summary("apple")
    'Keeps the doctor away.'
    """

    def __init__(self, kind: str, package: str | None = None, variable: str = "") -> None:
        self.kind, self.package, self.variable = kind, package, variable
        self._classes: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[type], type]:
        """Return a class decorator that registers a class under a name, which can be taken once.

        Raises:
            ValueError: the name is taken (raised by the decorator).
        """

        def add(cls: type) -> type:
            if name in self._classes or (name in self._written and self._written[name].module != cls.__module__):
                raise ValueError(f"{self.kind} {name!r} is registered already, by {self[name].__qualname__}")
            cls.name = name  # type: ignore[attr-defined]
            self._classes[name] = cls
            return cls

        return add

    def __getitem__(self, name: str) -> type[T]:
        if name in self._written:
            module, attribute, _ = self._written[name]
            return getattr(importlib.import_module(module), attribute)
        if name not in self._classes:
            raise unknown(self.kind, name, self)
        return self._classes[name]

    def __contains__(self, name: object) -> bool:
        return name in self._classes or name in self._written

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._classes, *self._written}))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def summary(self, name: str) -> str:
        """Return the first line of a class's docstring, without importing the class."""
        if name in self._written:
            return self._written[name].summary
        return _first_line(self[name].__doc__)

    @cached_property
    def _written(self) -> dict[str, Written]:
        """The classes in the files of the package, by name."""
        if self.package is None:
            return {}
        folders = sys.modules[self.package].__path__
        files = sorted(file for folder in folders for file in Path(folder).glob("*.py"))
        return {name: written for file in files for name, written in self._read(file)}

    def _read(self, file: Path) -> Iterator[tuple[str, Written]]:
        decorator = f"{self.variable}.register"
        source = file.read_text(encoding="utf-8")
        if f"@{decorator}(" not in source:
            return
        for node in ast.parse(source).body:
            if not isinstance(node, ast.ClassDef):
                continue
            for call in node.decorator_list:
                if isinstance(call, ast.Call) and ast.unparse(call.func) == decorator:
                    summary = _first_line(ast.get_docstring(node))
                    yield ast.literal_eval(call.args[0]), Written(f"{self.package}.{file.stem}", node.name, summary)


def _first_line(docstring: str | None) -> str:
    return (docstring or "").strip().partition("\n")[0]
