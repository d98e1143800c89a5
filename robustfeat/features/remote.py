"""Models of the Hugging Face Hub: `fetch` downloads card and weights into the Hub's own cache, verified as a whole."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from huggingface_hub.utils import HFValidationError, validate_repo_id

from robustfeat.features.card import Card
from robustfeat.features.hub_cache import HubCache, content_is, etag_of
from robustfeat.features.model_folder import CARD, read_card
from robustfeat.features.parts import FileFacts, file_fault, weight_files, weights_fault
from robustfeat.runtime.download import COMMIT, Headers, HubFile, download, headers
from robustfeat.runtime.errors import IntegrityError, OfflineError
from robustfeat.runtime.files import atomic_file
from robustfeat.runtime.online import hub_endpoint, reachable, told_offline

log = logging.getLogger(__name__)

HF = "hf:"
REVISION = re.compile(r"\w[\w.+-]*(/\w[\w.+-]*)*")


def repository(name: str, revision: str | None = None) -> tuple[str, str]:
    """Split "hf:ORG/REPO" or "hf:ORG/REPO@REVISION" into repository and revision.

    Args:
        name: the name, with or without a revision.
        revision: the revision of a name without one; None takes "main".

    Raises:
        ValueError: for any other name, for two different revisions, and for an invalid revision.
    """
    repo, at, own = name.removeprefix(HF).partition("@")
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise ValueError(f"{name!r} is not hf:ORG/REPO or hf:ORG/REPO@REVISION: {error}") from error
    if at and revision is not None and revision != own:
        raise ValueError(f"{name!r} names revision {own!r}, and revision={revision!r} another one; give one of them")
    chosen = own if at else revision or "main"
    if not REVISION.fullmatch(chosen) or ".." in chosen:
        raise ValueError(f"revision {chosen!r} of {repo!r} is not the name of a branch, tag or commit")
    return repo, chosen


def fetch(
    repo: str, revision: str = "main", *, local_files_only: bool | None = None, cache: Path | None = None
) -> Path:
    """Return the folder with card.json and the weights of a repository, in one file or in parts, as its card specifies.

    Args:
        repo: the repository as ORG/REPO.
        revision: branch, tag or commit. The commit of a branch is requested from the Hub each time; a commit that is in the
            cache needs no network access.
        local_files_only: True never contacts the Hub. None contacts it, unless HF_HUB_OFFLINE is set, and falls back to the
            cache if it does not respond. False requires a response.
        cache: a folder to use instead of HF_HUB_CACHE.

    Raises:
        OfflineError: if the Hub does not respond and the cache does not have the files.
        IntegrityError: if files differ from what the card specifies.
        FileNotFoundError: if the Hub has no such repository, revision or file.
        PermissionError: if the Hub denies access.
    """
    cached = HubCache(repo, cache)
    kept = _kept(cached, revision)
    if local_files_only or (local_files_only is None and told_offline()):
        if kept is None:
            why = "local_files_only" if local_files_only else "HF_HUB_OFFLINE"
            raise OfflineError(
                f"{repo!r} at revision {revision!r} is not in the cache ({cached.folder}), and {why} forbids the network; "
                "load it once with network"
            )
        return _checked(kept, cached)
    if kept is not None and COMMIT.fullmatch(revision) and _fault(kept) is None:
        return kept
    try:
        return _current(repo, revision, cached)
    except OfflineError as error:
        if kept is None or local_files_only is False:
            raise
        folder = _checked(kept, cached)
        log.warning("%s. Using commit %s from the cache", error, kept.name)
        return folder


def _current(repo: str, revision: str, cached: HubCache) -> Path:
    """Return the current snapshot on the Hub. Files that are cached and intact are not downloaded again."""
    if not reachable(hub_endpoint()):
        raise OfflineError(
            f"{hub_endpoint()} cannot be reached for {repo!r}; check the network, HF_ENDPOINT and HF_HUB_OFFLINE"
        )
    found = headers(HubFile(repo, revision, CARD))
    folder = cached.snapshot(found.commit)
    if _kept(cached, found.commit) is None or _fault(folder) is not None:
        _bring(HubFile(repo, found.commit, CARD), found, found.size, cached, lambda path: _card_fault(path, found.etag))
        described = _described(folder)
        files = {name: HubFile(repo, found.commit, name) for name in described}
        theirs = {name: headers(file) for name, file in files.items()}
        for name, facts in described.items():  # all of them, before anything large is fetched
            _compare(files[name], theirs[name], facts)
        for name, facts in described.items():
            _bring(files[name], theirs[name], facts.bytes, cached, partial(file_fault, facts=facts))
    cached.refer(revision, found.commit)  # last: a revision that did not arrive whole stays unknown
    return folder


def _bring(
    file: HubFile, found: Headers, size: int | None, cached: HubCache, fault: Callable[[Path], str | None]
) -> None:
    """Download a file into its snapshot, provided that it has no fault.

    Several processes may do so at the same time: each writes its own temporary file, and the last to finish replaces the others
    with the same content. A lock would save bandwidth, but would make all processes wait for one whose connection hangs.
    """
    blob = cached.blob(found.etag)
    if not blob.is_file() or fault(blob):
        with atomic_file(blob) as temporary:
            download(file, temporary, size)
            if wrong := fault(temporary):
                raise _refused(file, wrong)
    cached.link(found.commit, file.name, found.etag)


def _kept(cached: HubCache, revision: str) -> Path | None:
    """Return the cached snapshot of a revision if it has all files that its card names."""
    folder = cached.find(revision, [CARD])
    if folder is None:
        return None
    try:
        names = [CARD, *_described(folder)]
    except IntegrityError:  # for whoever looks at the card
        return folder
    return cached.find(revision, names)


def _compare(file: HubFile, found: Headers, facts: FileFacts) -> None:
    """Refuse weights that differ from the card before they are downloaded."""
    if found.size is not None and found.size != facts.bytes:
        raise _refused(file, f"has {found.size} bytes instead of {facts.bytes}")
    if len(found.etag) == 64 and found.etag != facts.sha256:
        raise _refused(file, f"has sha256 {found.etag}, its card says {facts.sha256}")


def _described(folder: Path) -> Mapping[str, FileFacts]:
    """Return the weight files that the card of a folder names. Raises IntegrityError if it names none."""
    weights = read_card(folder).weights
    if weights is None:
        raise IntegrityError(f"{folder / CARD} names no weights")
    return weight_files(weights)


def _refused(file: HubFile, wrong: str) -> IntegrityError:
    return IntegrityError(
        f"{file.url} {wrong}. Nothing was kept; try again, and if it stays so, tell the owner of {file.repo!r} "
        "or take another revision"
    )


def _card_fault(path: Path, etag: str) -> str | None:
    if not content_is(path, etag):
        return "is damaged: its digest is not the one that the Hub gave"
    try:
        Card.from_json(path.read_text(encoding="utf-8"))
    except (IntegrityError, OSError, UnicodeDecodeError) as error:
        return f"is not a card: {error}"
    return None


def _fault(folder: Path) -> str | None:
    """Describe what is wrong with a snapshot; None if nothing is."""
    card = folder / CARD
    if wrong := _card_fault(card, etag_of(card)):
        return f"{card} {wrong}"
    return weights_fault(folder, read_card(folder).weights)


def _checked(folder: Path, cached: HubCache) -> Path:
    if wrong := _fault(folder):
        raise IntegrityError(f"{wrong}. Load it once with network, which fetches it again, or remove {cached.folder}")
    return folder
