"""This module reads settings from YAML files with the safe loader, which builds plain values and executes nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml


def read_settings(path: Path) -> Any:
    """Return the values in a YAML file.

    Raises:
        ValueError: if the file is not valid YAML; the message has the position of the error.
    """
    try:
        return _Loader(path.read_text(encoding="utf-8")).get_single_data()
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{str(path)!r} cannot be read as YAML: {' '.join(str(error).split())}") from error


class _Loader(yaml.SafeLoader):
    """Reads 1e-3 as a number, which YAML 1.1 writes as 1.0e-3."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)
