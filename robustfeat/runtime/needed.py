"""Optional packages: if one is missing, an ImportError names it and the pip command at the moment it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needed(what: str, module: str, install: str | None = None) -> Iterator[None]:
    """Explain, inside the context, the ImportError of an optional module that is not installed.

    Args:
        what: the feature that needs the module.
        module: name of the module that is imported inside the context.
        install: what follows `pip install`; None takes the name of the module.

    Raises:
        ImportError: the module is not installed; the message states what needs it, and the pip command.

    >>> with needed("this example", "no_such_module", "no-such-package"):
    ...     import no_such_module
    Traceback (most recent call last):
        ...
    ImportError: this example needs no_such_module: pip install no-such-package
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != module:
            raise  # it is there, and lacks something itself
        raise ImportError(f"{what} needs {module}: pip install {install or module}") from error
