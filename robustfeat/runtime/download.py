"""Metadata and content of one file on the Hugging Face Hub, with a limit on silence and errors that have a meaning.

`hf_hub_download` of huggingface_hub is not used. It repeats failed requests for minutes: 429 and 5xx five times, with the pause
that the server asks for, and silence at the headers (60 s each, whatever the value of `etag_timeout`) and in the body. hf_xet
has timeouts of its own. Whatever was received stays in the cache, right or wrong. `get_hf_file_metadata`, one request without
repetition, is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from huggingface_hub import get_hf_file_metadata, get_session, hf_hub_url
from huggingface_hub.errors import HTTPError
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

from robustfeat.runtime.errors import IntegrityError, OfflineError
from robustfeat.runtime.online import hub_endpoint, patience
from robustfeat.runtime.parallel import rank
from robustfeat.runtime.progress import Progress

T = TypeVar("T")
COMMIT = re.compile(r"[0-9a-f]{40}")
SMALL = 1 << 24  # bytes that a file of unknown size may have
ETAG = re.compile(r"[\w-]{1,128}")  # it becomes a file's name
LOGIN = "log in with `hf auth login`, or set HF_TOKEN to a token from {endpoint}/settings/tokens"


@dataclass(frozen=True)
class HubFile:
    """A file of a repository at a revision.

    Args:
        repo: the repository.
        revision: a branch, a tag or a commit.
        name: path of the file in the repository.
    """

    repo: str
    revision: str
    name: str

    @property
    def url(self) -> str:
        """The address of the file on the Hub."""
        return hf_hub_url(self.repo, self.name, revision=self.revision, endpoint=hub_endpoint())


@dataclass(frozen=True)
class Headers:
    """The metadata of a file on the Hub.

    Args:
        commit: the commit that the revision stands for now.
        etag: the sha256 of a large file, git's object id of a small one.
        size: bytes; None if the server does not state it.
    """

    commit: str
    etag: str
    size: int | None


def headers(file: HubFile) -> Headers:
    """Return the metadata of a file, in one request.

    Raises:
        FileNotFoundError: the Hub has no such repository, revision or file.
        PermissionError: the Hub denies access.
        OfflineError: there is no answer, or one that the Hub would not give.
    """
    try:
        found = _on_a_fresh_connection(
            lambda: get_hf_file_metadata(file.url, timeout=patience(), endpoint=hub_endpoint())
        )
    except (HTTPError, ConnectionError) as error:
        raise explained(error, file) from error
    commit, etag = found.commit_hash or "", found.etag or ""
    if not COMMIT.fullmatch(commit) or not ETAG.fullmatch(etag):
        raise _offline(file.url, "not the Hub answers, but perhaps a proxy or a login page")
    return Headers(commit, etag, found.size)


def download(file: HubFile, target: Path, size: int | None) -> None:
    """Write the content of a file to `target`.

    A slow download may take its time; one that is silent for `patience()` seconds ends.

    Args:
        file: the file on the Hub.
        target: the path to write to.
        size: number of bytes that is expected; None if unknown.

    Raises:
        FileNotFoundError: the Hub has no such repository, revision or file.
        PermissionError: the Hub denies access.
        OfflineError: there is no answer, or one that the Hub would not give.
        IntegrityError: the number of bytes is not `size`, or above `SMALL` if that is unknown.
    """
    limit = SMALL if size is None else size
    try:
        got = _on_a_fresh_connection(lambda: _stream(file, target, size, limit))
    except (HTTPError, ConnectionError) as error:
        raise explained(error, file) from error
    if got > limit or (size is not None and got != size):
        many = f"more than {limit}" if got > limit else f"{got} instead of {size}"
        raise IntegrityError(f"{file.url} gives {many} bytes; nothing was kept, try again")


def _stream(file: HubFile, target: Path, size: int | None, limit: int) -> int:
    """Write the file and return the number of bytes read: at most one piece more than `limit`, as an answer may have no end."""
    ask = {**build_hf_headers(), "Accept-Encoding": "identity"}
    got = 0
    with (
        open(target, "wb") as out,
        Progress(file.name, (size or 0) / 1e6, "MB", quiet=size is None or rank() > 0) as progress,
        # The client drops the token when it is sent on to another host.
        get_session().stream("GET", file.url, headers=ask, timeout=patience(), follow_redirects=True) as answer,
    ):
        hf_raise_for_status(answer)
        for piece in answer.iter_bytes(1 << 20):
            got += len(piece)
            if got > limit:
                break
            out.write(piece)
            progress.at(got / 1e6)
    return got


def _on_a_fresh_connection(ask: Callable[[], T]) -> T:
    """Call `ask`, and once more if the server closed the connection without an answer, as is common for kept connections."""
    try:
        return ask()
    except HTTPError as error:
        if "disconnected without sending" not in str(error):
            raise
        return ask()


def explained(error: Exception, file: HubFile, *, url: str | None = None, hint: str | None = None) -> Exception:
    """Return an HTTP error of huggingface_hub as an error with a meaning, on one line.

    Args:
        error: the error of huggingface_hub.
        file: the file that was requested.
        url: the address that was requested, if it is not that of the file.
        hint: what the user can do other than try again later.
    """
    url, endpoint = url or file.url, hub_endpoint()
    answer = getattr(error, "response", None)
    if answer is None:
        return _offline(url, f"{type(error).__name__}: {_short(error)}", hint)
    status = answer.status_code
    if status == 404:
        missing = {"RepoNotFound": f"repository {file.repo!r}", "RevisionNotFound": f"revision {file.revision!r}"}
        what = missing.get(answer.headers.get("X-Error-Code"), f"file {file.name!r}, which robustfeat push writes")
        return FileNotFoundError(f"the Hub has no {what} ({url}); see {endpoint}/{file.repo}")
    if status in (401, 403):
        said = _short(answer.headers.get("X-Error-Message", "no reason given"))
        return PermissionError(
            f"the Hub answers {status} ({said}) to {url}: {file.repo!r} is private, gated or not there. "
            f"Ask for access at {endpoint}/{file.repo}, and {LOGIN.format(endpoint=endpoint)}"
        )
    if 400 <= status < 500 and status not in (408, 429):
        return ValueError(
            f"the Hub refuses {url} (HTTP {status}): {_short(getattr(error, 'server_message', '') or error)}"
        )
    pause = answer.headers.get("Retry-After", "")
    return _offline(url, f"HTTP {status}" + f", to be asked again in {pause} s" * pause.isdigit(), hint)


def _short(text: object) -> str:
    return " ".join(str(text).split())[:160]


def _offline(url: str, reason: str, hint: str | None = None) -> OfflineError:
    hint = hint or (
        f"use what is cached with local_files_only=True, or allow more than {patience():g} s of silence with ROBUSTFEAT_TIMEOUT"
    )
    return OfflineError(f"{url} fails ({reason}). Try again later, {hint}")
