"""Optional packages: where one is missing, an ImportError names it and the pip command at the moment it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needed(what: str, module: str, install: str | None = None) -> Iterator[None]:
    """Around the import of `module`: where that is not installed, ImportError says that `what` needs it, and the pip line.

    install: what follows `pip install`, where that is not the name of the module.

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
