"""What a command is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from jsonargparse import ArgumentParser


@dataclass(frozen=True)
class Result:
    """What a command says on stdout: text for people, or with --json the data; and its exit code, 1 where a check failed."""

    text: str
    data: Any
    code: int = 0


@dataclass(frozen=True)
class Command:
    """name, one line of help, an example, `add` to declare its arguments on a parser, `run` on the parsed ones.

    variants: for a command whose first word chooses among classes (train), name -> (help, add).
    """

    name: str
    help: str
    example: str
    add: Callable[[ArgumentParser], None]
    run: Callable[[dict[str, Any]], Result]
    variants: dict[str, tuple[str, Callable[[ArgumentParser], None]]] | None = None
    variant: str = "variant"


def add_reading(parser: ArgumentParser, *, on_error: str = "raise") -> None:
    """The options of every command that reads images. on_error: the default of that option."""
    parser.add_argument(
        "--image_size",
        type=int | None,
        default=None,
        help="scale images to so many pixels per side; eps is in pixels after that (default: the size of the model)",
    )
    add_on_error(parser, on_error)


def add_on_error(parser: ArgumentParser, default: str) -> None:
    """What becomes of images that cannot be read."""
    parser.add_argument(
        "--on_error",
        type=Literal["raise", "skip"],
        default=default,
        help="what to do with images that cannot be read: raise names the first, skip leaves them out and counts them",
    )


def add_columns(parser: ArgumentParser) -> None:
    """The options that name a data set's columns, for commands that read one."""
    parser.add_argument("--image", type=str, default=None, help="the image column, where the data has several")
    parser.add_argument("--label", type=str, default=None, help="the label column, where the data has several")
