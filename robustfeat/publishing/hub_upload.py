"""This module uploads a model folder to the Hugging Face Hub, and loads it back to verify what arrived."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, ModelCardData, get_session, get_token
from huggingface_hub.errors import HTTPError

from robustfeat.backbones import loads_in_timm_alone, timm_config
from robustfeat.features import hub
from robustfeat.features.card import Card
from robustfeat.features.model_folder import CARD, CONFIG, README
from robustfeat.features.parts import is_weights, weight_files
from robustfeat.features.remote import HF, fetch, repository
from robustfeat.publishing.public import public
from robustfeat.runtime.download import COMMIT, LOGIN, HubFile, explained
from robustfeat.runtime.errors import IntegrityError, OfflineError
from robustfeat.runtime.online import hub_endpoint, reachable, told_offline

SILENCE = 30.0  # seconds: the Hub works on a commit before it answers, and huggingface_hub sets no limit here
FRONT = "---\n"  # how a page with facts for the Hub begins
HINT = "the branch is as it was before, or has the whole commit"


@dataclass(frozen=True)
class Pushed:
    """The location of an uploaded model.

    Args:
        repo: the repository, ORG/REPO.
        branch: the branch.
        commit: the commit.
        url: the address of the repository.
        digest: the digest of architecture and weights, the same before and after.
    """

    repo: str
    branch: str
    commit: str
    url: str
    digest: str


def push(
    name: str | os.PathLike[str],
    to: str,
    *,
    revision: str | None = None,
    private: bool = False,
    message: str | None = None,
) -> Pushed:
    """Upload weights, card, page and timm's config.json in one commit, load that commit back, and compare.

    Card and page are sent without the paths of this machine (`publishing.public`). The page is made from the card, unless
    README.md begins with front matter ("---"): then it is taken as written by hand.

    Args:
        name: a model with a folder, as `load` accepts it.
        to: ORG/REPO; created if it does not exist.
        revision: the branch; "main" if None.
        private: the repository must be private.
        message: the commit message.

    Raises:
        IntegrityError: if the folder, or what was loaded back, is damaged.
        PermissionError: without a token that may write there.
        ValueError: if the Hub refuses the upload.
        OfflineError: if the Hub does not answer.
    """
    repo, branch = _target(to, revision)
    folder = hub.find(os.fspath(name))
    model = hub.load(folder)  # size and sha256 first
    digest, card = model.digest(), public(model.card)
    _ready()
    assert card.weights is not None  # or it had not been loaded
    files: dict[str, Path | bytes] = {name: folder / name for name in weight_files(card.weights)}
    files |= {
        CARD: card.to_json().encode(),
        README: _page(folder, card, repo, branch).encode(),
        CONFIG: timm_config(model.network.model, card.architecture, card.classes).encode(),
    }
    with _named_errors(repo, branch):
        commit = _commit(repo, branch, files, private, message or f"{card.name}, by robustfeat push")
    back = _digest_there(repo, commit)
    if back != digest:
        raise IntegrityError(
            f"{HF}{repo}@{commit} has other weights ({back}) than {str(folder)!r} had ({digest}); "
            "somebody changed the folder meanwhile, push again"
        )
    return Pushed(repo, branch, commit, f"{hub_endpoint()}/{repo}", digest)


def _target(to: str, revision: str | None) -> tuple[str, str]:
    repo, branch = repository(to, revision)
    if "/" not in repo:
        raise ValueError(f"{to!r} has no owner; give ORG/REPO, with your own user name as ORG")
    if COMMIT.fullmatch(branch):
        raise ValueError(f"revision {branch!r} is a commit, which nobody can add to; give a branch")
    return repo, branch


def _ready() -> None:
    """Raise the errors that can be detected before the upload."""
    endpoint = hub_endpoint()
    if told_offline():
        raise OfflineError("HF_HUB_OFFLINE is set, and pushing needs the network; unset it")
    if get_token() is None:
        raise PermissionError(f"pushing needs a token that may write: {LOGIN.format(endpoint=endpoint)}")
    if not reachable(endpoint):
        raise OfflineError(f"{endpoint} cannot be reached; check the network and HF_ENDPOINT")


def _commit(repo: str, branch: str, files: dict[str, Path | bytes], private: bool, message: str) -> str:
    """Commit all files at once and delete old weights, so that no revision has incomplete weights."""
    api = HfApi(endpoint=hub_endpoint(), library_name="robustfeat")
    api.create_repo(repo, private=private or None, exist_ok=True)
    if private and not api.model_info(repo).private:
        raise ValueError(
            f"{repo!r} exists already and is public; nothing was uploaded. Make it private in its settings first"
        )
    if branch != "main":
        api.create_branch(repo, branch=branch, exist_ok=True)
    there = [file.rfilename for file in api.model_info(repo, revision=branch).siblings or ()]
    stale = [name for name in there if is_weights(name) and name not in files]  # of a model with more parts, or fewer
    operations: list[CommitOperationAdd | CommitOperationDelete] = [CommitOperationDelete(name) for name in stale]
    operations += [CommitOperationAdd(name, content) for name, content in files.items()]
    return api.create_commit(repo, operations, commit_message=message, revision=branch).oid


def _digest_there(repo: str, commit: str) -> str:
    """Return the digest of the model on the Hub, without the cache, which may already hold the same weights."""
    with TemporaryDirectory() as aside:
        try:
            return hub.load(fetch(repo, commit, local_files_only=False, cache=Path(aside))).digest()
        except OfflineError as error:
            raise OfflineError(f"pushed as commit {commit}, but it could not be loaded back: {error}") from error


def _page(folder: Path, card: Card, repo: str, branch: str) -> str:
    """Return README.md for the Hub, with metadata in front and code that loads the model from there."""
    path = folder / README
    own = path.read_text(encoding="utf-8") if path.is_file() else ""
    text = own if own.startswith(FRONT) else card.readme()
    name = f"{HF}{repo}" if branch == "main" else f"{HF}{repo}@{branch}"
    for before in (f'load("{card.name}")', f"reproduce {card.name} "):
        text = text.replace(before, before.replace(card.name, name))
    if text.startswith(FRONT):
        return text
    tags = ["robustfeat", "adversarial-robustness"] + ["timm"] * loads_in_timm_alone(card.architecture)
    facts = ModelCardData(
        license=card.licence.lower(), library_name="robustfeat", pipeline_tag="image-feature-extraction", tags=tags
    )
    return f"{FRONT}{facts.to_yaml()}\n---\n\n{text}"


@contextmanager
def _named_errors(repo: str, branch: str) -> Iterator[None]:
    """Set a timeout, and convert errors of the Hub into specific ones."""
    session, file = get_session(), HubFile(repo, branch, CARD)
    before = session.timeout
    session.timeout = SILENCE
    try:
        yield
    except (HTTPError, ConnectionError) as error:
        raise explained(error, file, url=f"{hub_endpoint()}/{repo}", hint=HINT) from error
    except RuntimeError as error:  # around the HTTP error of an upload
        if not isinstance(error.__cause__, HTTPError):
            raise
        raise explained(error.__cause__, file, url=f"{hub_endpoint()}/{repo}", hint=HINT) from error
    finally:
        session.timeout = before
