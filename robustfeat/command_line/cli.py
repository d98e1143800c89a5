"""This module finds the commands, parses the arguments, runs one command, and reports a user's mistake in one or two lines.

Exit codes: 0 done, 1 failed, 2 usage, 3 integrity, 4 offline, 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from robustfeat.command_line import commands
from robustfeat.numerics.eps import Eps
from robustfeat.runtime.errors import DivergedError, FullDiskError, IntegrityError, OfflineError
from robustfeat.runtime.needed import needed
from robustfeat.runtime.registry import unknown
from robustfeat.runtime.version import __version__

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

    from robustfeat.command_line.command import Command

USAGE = (ValueError, KeyError, FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: the arguments; None takes those of the process.

    Returns:
        The exit code.
    """
    arguments = [_underscored(argument) for argument in (sys.argv[1:] if argv is None else argv)]
    debug = "--debug" in arguments
    logging.basicConfig(
        level=logging.INFO if debug else logging.WARNING, format="%(levelname)s %(message)s", stream=sys.stderr
    )
    logging.getLogger("robustfeat").setLevel(logging.INFO)
    try:
        return _run([argument for argument in arguments if argument != "--debug"])
    except KeyboardInterrupt as error:
        return _fail(130, str(error) or "interrupted", error, debug)
    except argparse.ArgumentError as error:
        return _fail(2, f"{_on_one_line(error)} (see robustfeat --help)", error, debug)
    except IntegrityError as error:
        return _fail(3, str(error), error, debug)
    except OfflineError as error:
        return _fail(4, str(error), error, debug)
    except USAGE as error:
        return _fail(2, str(error), error, debug)
    except (FullDiskError, DivergedError, BlockingIOError, ImportError) as error:
        return _fail(1, str(error), error, debug)
    except Exception as error:
        return _fail(1, f"{type(error).__name__}: {error}", error, debug)


def _run(words: list[str]) -> int:
    if words == ["--version"]:
        print(f"robustfeat {__version__}")
        return 0
    command, values = parse(words)
    result = command.run(values)
    if os.environ.get("RANK", "0") == "0":  # of several processes, one speaks; its group may have ended
        print(json.dumps(result.data, indent=2) if values["json"] else result.text)
    return result.code


def parse(words: Sequence[str]) -> tuple[Command, dict[str, Any]]:
    """Parse the command line; only the parser of the chosen command is built.

    Args:
        words: the command, then its arguments.

    Returns:
        The command, and its arguments by name.

    Raises:
        UnknownNameError: for an unknown command.
        ArgumentError: for wrong arguments.
        ValueError: for a missing command, and for wrong values.
        SystemExit: after a help text.
    """
    known = find_commands()
    about = "Image features that stay meaningful under attack."
    name, rest = _choose(
        "command",
        words,
        {n: each.help for n, each in known.items()},
        "robustfeat",
        about,
        "robustfeat COMMAND --help says more",
    )
    command = known[name]
    if command.variants is None:
        return command, dict(_parser(command, name, command.help, command.add).parse_args(rest))
    kind, program = command.variant, f"robustfeat {name}"
    summaries = {variant: text for variant, (text, _) in command.variants.items()}
    variant, rest = _choose(kind, rest, summaries, program, command.help, f"example: {command.example}")
    text, add = command.variants[variant]
    return command, dict(_parser(command, f"{name} {variant}", text, add).parse_args(rest)) | {kind: variant}


def find_commands() -> dict[str, Command]:
    """Return all commands by name."""
    found: dict[str, Command] = {}
    for info in pkgutil.iter_modules(commands.__path__):
        with needed("the command line", "jsonargparse", "'jsonargparse[signatures]'"):
            module = importlib.import_module(f"{commands.__name__}.{info.name}")
        for command in getattr(module, "COMMANDS", [module.COMMAND] if hasattr(module, "COMMAND") else []):
            found[command.name] = command
    return found


def _choose(
    kind: str, words: Sequence[str], entries: Mapping[str, str], program: str, about: str, epilog: str
) -> tuple[str, list[str]]:
    """Return the first word, one of the entries (name -> help), and the other words."""
    if not words:
        raise ValueError(f"the {kind} is missing; {program} --help lists them")
    if words[0] in ("-h", "--help"):
        menu = argparse.ArgumentParser(prog=program, description=about, epilog=epilog)
        if kind == "command":
            menu.add_argument("--version", action="store_true", help="print the version and exit")
            menu.add_argument("--debug", action="store_true", help="with any command: tell more, and trace errors")
        listed = menu.add_subparsers(metavar=kind.upper())
        for name, text in entries.items():
            listed.add_parser(name, help=text.replace("%", "%%"))
        menu.print_help()
        raise SystemExit(0)
    if words[0] not in entries:
        raise unknown(kind, words[0], entries)
    return words[0], list(words[1:])


def _parser(command: Command, words: str, about: str, add: Callable[[ArgumentParser], None]) -> ArgumentParser:
    """Return the parser of a command; `words` come before its arguments on the command line."""
    from jsonargparse import ArgumentParser
    from jsonargparse.typing import register_type

    register_type(Eps, repr, Eps)
    parser = ArgumentParser(
        prog=f"robustfeat {words}", description=about, epilog=f"example: {command.example}", exit_on_error=False
    )
    add(parser)
    parser.add_argument("--config", action="config", help="read options from a YAML file")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def _underscored(argument: str) -> str:
    """Make --log-with and --log_with the same option."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value


def _on_one_line(error: argparse.ArgumentError) -> str:
    """Return the message of jsonargparse on one line, with "argument" for its own term."""
    return " ".join(str(error).replace("Parser key ", "argument ").split())


def _fail(code: int, message: str, error: BaseException, debug: bool) -> int:
    if debug:
        logging.getLogger(__name__).error("traceback", exc_info=error)
    print(f"robustfeat: {message}", file=sys.stderr)
    return code
