"""This module defines the parts of a command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from jsonargparse import ArgumentParser


@dataclass(frozen=True)
class Result:
    """The output of a command on stdout and its exit code.

    Args:
        text: the output for people.
        data: the output with --json.
        code: the exit code, 1 if a check failed.
    """

    text: str
    data: Any
    code: int = 0


@dataclass(frozen=True)
class Command:
    """A command of the command line.

    Args:
        name: the name of the command.
        help: one line of help.
        example: an example call.
        add: declares the arguments on a parser.
        run: runs the command on the parsed arguments.
        variants: for a command whose first argument selects a class (train), name -> (help, add).
        variant: the name of that argument.
    """

    name: str
    help: str
    example: str
    add: Callable[[ArgumentParser], None]
    run: Callable[[dict[str, Any]], Result]
    variants: dict[str, tuple[str, Callable[[ArgumentParser], None]]] | None = None
    variant: str = "variant"


def add_reading(parser: ArgumentParser, *, on_error: str = "raise") -> None:
    """Add the options of every command that reads images; `on_error` is the default of that option."""
    parser.add_argument(
        "--image_size",
        type=int | None,
        default=None,
        help="scale images to so many pixels per side; eps is in pixels after that (default: the size of the model)",
    )
    add_on_error(parser, on_error)


def add_on_error(parser: ArgumentParser, default: str) -> None:
    """Add the option that decides about images that cannot be read."""
    parser.add_argument(
        "--on_error",
        type=Literal["raise", "skip"],
        default=default,
        help="what to do with images that cannot be read: raise names the first, skip leaves them out and counts them",
    )


def add_columns(parser: ArgumentParser) -> None:
    """Add the options that name the columns of a data set."""
    parser.add_argument("--image", type=str, default=None, help="the image column, where the data has several")
    parser.add_argument("--label", type=str, default=None, help="the label column, where the data has several")
