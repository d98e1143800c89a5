"""Packages whose public names are imported on first use (PEP 562), so that a package costs only what is used of it.

A package states its names once, as imports under `if TYPE_CHECKING`: type checkers use them, and `attach` reads them from the
source.
"""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path
from types import ModuleType


class Package(ModuleType):
    """The class of a package after `attach`."""

    _homes: dict[str, str]
    """Public name -> the module that defines it."""

    def __getattr__(self, name: str) -> object:
        """Import a public name that is not loaded yet."""
        if name not in self._homes:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(self._homes[name]), name)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._homes})


def attach(package: str) -> None:
    """Import on demand what a package imports under `if TYPE_CHECKING`; a package calls this at its end with its `__name__`."""
    module = sys.modules[package]
    assert module.__file__ is not None
    module.__dict__["_homes"] = _homes(Path(module.__file__))
    module.__class__ = Package


def _homes(source: Path) -> dict[str, str]:
    tree = ast.parse(source.read_text(encoding="utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return {
        alias.name: str(node.module)
        for block in blocks
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
