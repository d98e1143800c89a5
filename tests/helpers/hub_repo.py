"""A repository of the small Hub: files in commits, commits on branches.

Small files lie in git and have git's object id as ETag; *.safetensors are large files and have their sha256.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field


def etag(name: str, content: bytes) -> str:
    if name.endswith(".safetensors"):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Repo:
    """commits: id -> name -> content.  branches: name -> id."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(
        self, files: dict[str, bytes], branch: str = "main", message: str = "", removed: Sequence[str] = ()
    ) -> str:
        """Add files to a branch, and remove others; returns the commit."""
        whole = self.commits.get(self.branches.get(branch, ""), {}) | files
        whole = {name: content for name, content in whole.items() if name not in removed}
        seed = json.dumps([len(self.commits), *sorted((name, etag(name, data)) for name, data in whole.items())])
        commit = hashlib.sha1(seed.encode()).hexdigest()
        self.commits[commit] = whole
        self.branches[branch] = commit
        self.messages.append(message)
        return commit

    def resolve(self, revision: str) -> str | None:
        return revision if revision in self.commits else self.branches.get(revision)
