"""Packages whose public names are imported when they are first used (PEP 562): a package costs what is used of it.

A package states its names once, as imports under `if TYPE_CHECKING`: type checkers believe them, and `attach` reads them from the
source.
"""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path
from types import ModuleType


class Package(ModuleType):
    """What a package becomes by `attach`."""

    _homes: dict[str, str]
    """Public name -> the module that has it."""

    def __getattr__(self, name: str) -> object:
        """Python asks for names that are not there yet."""
        if name not in self._homes:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(self._homes[name]), name)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._homes})


def attach(package: str) -> None:
    """Called by a package at its end, with its `__name__`: what it imports under `if TYPE_CHECKING` is imported on demand."""
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
