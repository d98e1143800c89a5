"""The command line: finds the commands, parses, runs one, and turns a user's mistake into one or two lines.

Exit codes: 0 done, 1 failed, 2 usage, 3 integrity, 4 offline, 130 interrupted.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import pkgutil
import sys
from collections.abc import Sequence

from jsonargparse import ArgumentError, ArgumentParser, Namespace
from jsonargparse.typing import register_type

from robustfeat import commands
from robustfeat.commands.base import Command
from robustfeat.errors import DivergedError, FullDiskError, IntegrityError, OfflineError
from robustfeat.types import Eps

register_type(Eps, repr, Eps)

USAGE = (ValueError, KeyError, FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
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
    except ArgumentError as error:
        return _fail(2, f"{_shorten(error)} (see robustfeat --help)", error, debug)
    except IntegrityError as error:
        return _fail(3, str(error), error, debug)
    except OfflineError as error:
        return _fail(4, str(error), error, debug)
    except USAGE as error:
        return _fail(2, str(error), error, debug)
    except (FullDiskError, DivergedError) as error:
        return _fail(1, str(error), error, debug)
    except Exception as error:
        return _fail(1, f"{type(error).__name__}: {error}", error, debug)


def _run(arguments: list[str]) -> int:
    known = find_commands()
    values = build_parser(known).parse_args(arguments)
    command = known[values.pop("subcommand")]
    flat = values[command.name]
    if command.variants is not None:
        variant = flat[command.variant]
        flat = Namespace(**flat[variant], **{command.variant: variant})
    result = command.run(dict(flat))
    if os.environ.get("RANK", "0") == "0":  # of several processes, one speaks; its group may have ended
        print(json.dumps(result.data, indent=2) if flat["json"] else result.text)
    return result.code


def find_commands() -> dict[str, Command]:
    """All commands, by name."""
    found: dict[str, Command] = {}
    for info in pkgutil.iter_modules(commands.__path__):
        module = importlib.import_module(f"{commands.__name__}.{info.name}")
        for command in getattr(module, "COMMANDS", [module.COMMAND] if hasattr(module, "COMMAND") else []):
            found[command.name] = command
    return found


def build_parser(known: dict[str, Command]) -> ArgumentParser:
    """One parser with a subcommand per command, and below train one per objective."""
    parser = ArgumentParser(
        prog="robustfeat", description="Image features that stay meaningful under attack.", exit_on_error=False
    )
    subcommands = parser.add_subcommands(required=True, metavar="COMMAND")
    for name, command in known.items():
        own = ArgumentParser(description=command.help, epilog=f"example: {command.example}", exit_on_error=False)
        command.add(own)
        if command.variants is None:
            _common(own)
        subcommands.add_subcommand(name, own, help=command.help)
        if command.variants is not None:
            nested = own.add_subcommands(required=True, dest=command.variant, metavar=command.variant.upper())
            for variant, (text, add) in command.variants.items():
                leaf = ArgumentParser(description=text, epilog=f"example: {command.example}", exit_on_error=False)
                add(leaf)
                _common(leaf)
                nested.add_subcommand(variant, leaf, help=text)
    return parser


def _common(parser: ArgumentParser) -> None:
    parser.add_argument("--config", action="config", help="read options from a YAML file")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _underscored(argument: str) -> str:
    """--log-with and --log_with are the same option."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value


def _shorten(error: ArgumentError) -> str:
    """jsonargparse's message on one line, without the argument's inner path."""
    if type(error.__cause__) is KeyError:  # jsonargparse fails while it says which, where subcommands are nested
        return "the config file has an option that this command does not know; --print_config shows those that it knows"
    return " ".join(str(error).replace("Parser key ", "argument ").split())


def _fail(code: int, message: str, error: BaseException, debug: bool) -> int:
    if debug:
        logging.getLogger(__name__).error("traceback", exc_info=error)
    print(f"robustfeat: {message}", file=sys.stderr)
    return code
