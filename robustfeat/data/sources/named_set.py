"""This module reads well-known data sets by a short name, from local files if there are any, else from the Hub."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from robustfeat.data.sources.base import Opened, Source, source_of
from robustfeat.data.sources.hugging_face import HuggingFace


class NamedSet(Source):
    """A data set in a folder of its name under $ROBUSTFEAT_DATA or in the working directory, in any layout, else on the Hub."""

    hub_id: ClassVar[str]

    def takes(self, name: str) -> bool:
        return name in (self.name, self.hub_id)

    def open(self, name: str, split: str) -> Opened:
        for folder in (data_folder(name) if name == self.name else None, Path(name)):
            if folder and folder.is_dir():
                path = str(folder.absolute())  # which is no short name
                return source_of(path).open(path, split)
        return HuggingFace().open(self.hub_id, split)


def data_folder(name: str) -> Path | None:
    """Return the folder of that name under $ROBUSTFEAT_DATA, or None if the variable is not set."""
    root = os.environ.get("ROBUSTFEAT_DATA")
    return Path(root).expanduser() / name if root else None
