"""This module reads data sets of the Hub with Hugging Face `datasets`."""

from __future__ import annotations

from typing import Any

from robustfeat.data.sources import SOURCES
from robustfeat.data.sources.base import PATHS, Source
from robustfeat.data.table import Table
from robustfeat.runtime.errors import OfflineError, UnknownNameError
from robustfeat.runtime.needed import needed
from robustfeat.runtime.online import cache_only, hub_endpoint, reachable


@SOURCES.register("hugging-face")
class HuggingFace(Source):
    """A data set of the Hub by its id, owner/name or owner/name:config; the local cache comes first."""

    breadth = 4

    def takes(self, name: str) -> bool:
        return is_hub_id(name)

    def open(self, name: str, split: str) -> Table:
        repository, _, config = name.partition(":")
        with cache_only(not reachable(hub_endpoint())):
            return _load(name, repository, config or None, split=split)


def is_hub_id(name: str) -> bool:
    """Return whether a name is "owner/name" or "owner/name:config" of the Hub, if no file or folder has that name."""
    return name.count("/") == 1 and not name.startswith(PATHS) and not name.endswith(".parquet")


def _load(source: str, *arguments: Any, **options: Any) -> Table:
    """Call datasets.load_dataset and turn its errors into ours, which name the source."""
    with needed("reading data sets of the Hub", "datasets"):  # a package that takes a second to import, and few need
        import datasets

    bars = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        found = datasets.load_dataset(*arguments, **options)
        rows = found.data.table.replace_schema_metadata(found.features.arrow_schema.metadata)
        return Table(rows, found._fingerprint)
    except (ConnectionError, TimeoutError) as error:
        raise OfflineError(
            f"data set {source!r} is not in the cache and the Hub cannot be reached; "
            "connect, or give the path of a folder with its files (cifar10 and the like: under $ROBUSTFEAT_DATA)"
        ) from error
    except FileNotFoundError as error:
        raise FileNotFoundError(f"data set {source!r} was not found: {error}") from error
    except (ValueError, datasets.exceptions.DatasetGenerationError) as error:
        if str(error).lower().startswith(("unknown split", "bad split")):
            raise UnknownNameError(f"data set {source!r} has no split {options['split']!r}: {error}") from error
        reason = " ".join(str(error.__cause__ or error).split())
        if "corresponds to no data" in reason:
            reason = "the split is empty"
        raise ValueError(f"data set {source!r} cannot be read: {reason}") from error
    finally:
        if bars:
            datasets.enable_progress_bars()
