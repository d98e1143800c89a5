"""What the small Hub answers: the endpoints that huggingface_hub asks.

Large files come by a redirect to another host ("localhost" instead of "127.0.0.1"), as from the real one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from hub_repo import Repo, etag

if TYPE_CHECKING:
    from hub_server import HubServer

TOKEN = "hf_test"


class Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args: Any) -> None:
        pass

    def handle_any(self) -> None:
        self.__dict__.pop("send", None)  # a fault of the request before, on the same connection
        self.path_only = unquote(urlsplit(self.path).path)
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token = " token" if self.headers.get("Authorization") else ""
        asked = f"{self.command} {self.path_only}{token}"
        self.server.requests.append(asked)
        for fault in self.server.faults:
            if re.search(fault.where, asked):
                if not fault.act(self):
                    return
                break
        for method, pattern, answer in ROUTES:
            if self.command in method and (match := re.fullmatch(pattern, self.path_only)):
                answer(self, *match.groups())
                return
        self.fail(404)

    do_GET = do_HEAD = do_POST = do_PUT = handle_any  # noqa: N815

    # Answers

    def send(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def json(self, value: Any, status: int = 200) -> None:
        self.send(status, json.dumps(value).encode(), Content_Type="application/json")

    def fail(self, status: int, code: str = "", message: str = "", **headers: str) -> None:
        marks = {"X_Error_Code": code, "X_Error_Message": message} if code else {}
        self.send(status, json.dumps({"error": message or code or "failed"}).encode(), **marks, **headers)

    def repo(self, name: str) -> Repo | None:
        """The repository, where whoever asks may read it; else the answer is sent."""
        repo = self.server.repos.get(name)
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if repo is None or (repo.private and not known):
            self.fail(404 if known else 401, "RepoNotFound", "Repository not found")
            return None
        if repo.gated and not known:
            self.fail(401, "GatedRepo", "Access to this model is restricted")
            return None
        return repo

    # Reading

    def resolve(self, name: str, revision: str, file: str) -> None:
        if (repo := self.repo(name)) is None:
            return
        if (commit := repo.resolve(revision)) is None:
            self.fail(404, "RevisionNotFound", "Invalid rev id")
            return
        if (content := repo.commits[commit].get(file)) is None:
            self.fail(404, "EntryNotFound", "Entry not found", X_Repo_Commit=commit)
            return
        tag = f'"{etag(file, content)}"'
        if file.endswith(".safetensors"):
            self.server.large[tag.strip('"')] = content
            host = f"http://localhost:{self.server.server_address[1]}"
            linked = {"X_Linked_Etag": tag, "X_Linked_Size": str(len(content))}
            location = f"{host}/large/{tag.strip(chr(34))}"
            self.send(302, b"Found", X_Repo_Commit=commit, Location=location, ETag='"of-the-redirect"', **linked)
        else:
            self.send(200, content, X_Repo_Commit=commit, ETag=tag)

    def stored(self, digest: str) -> None:
        content = self.server.large.get(digest)
        self.fail(404) if content is None else self.send(200, content, ETag=f'"{digest}"')

    def info(self, name: str, revision: str | None = None) -> None:
        if (repo := self.repo(name)) is None:
            return
        if (commit := repo.resolve(revision or "main")) is None:
            self.fail(404, "RevisionNotFound", "Invalid rev id")
            return
        files = [{"rfilename": file} for file in repo.commits[commit]]
        self.json({"id": name, "sha": commit, "private": repo.private, "siblings": files, "tags": []})

    # Writing

    def may_write(self) -> bool:
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return True
        self.fail(401, message="Invalid username or password.")
        return False

    def create(self) -> None:
        if not self.may_write():
            return
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        exists = name in self.server.repos
        if not exists:
            self.server.repos[name] = Repo(private=asked.get("visibility") == "private" or asked.get("private", False))
            self.server.repos[name].commit({".gitattributes": b"*.safetensors filter=lfs\n"})
        self.json({"url": f"{self.server.url}/{name}"}, 409 if exists else 200)

    def branch(self, name: str, branch: str) -> None:
        if self.may_write() and (repo := self.repo(name)) is not None:
            exists = branch in repo.branches
            repo.branches.setdefault(branch, repo.branches["main"])
            self.json({}, 409 if exists else 200)

    def validate(self) -> None:
        text = json.loads(self.body)["content"]
        good = re.match(r"---\n.*?\n---\n", text, re.DOTALL) is not None
        self.json({"errors": [] if good else [{"message": "no front matter"}], "warnings": []}, 200 if good else 400)

    def preupload(self, name: str, revision: str) -> None:
        if self.may_write() and self.repo(name) is not None:
            files = [file["path"] for file in json.loads(self.body)["files"]]
            modes = {True: "lfs", False: "regular"}
            answer = [
                {"path": path, "uploadMode": modes[path.endswith(".safetensors")], "shouldIgnore": False}
                for path in files
            ]
            self.json({"files": answer})

    def batch(self, name: str) -> None:
        if self.may_write() and self.repo(name) is not None:
            objects = []
            for item in json.loads(self.body)["objects"]:
                upload = {"upload": {"href": f"{self.server.url}/upload/{item['oid']}", "header": {}}}
                missing = item["oid"] not in self.server.large
                objects.append({"oid": item["oid"], "size": item["size"]} | ({"actions": upload} if missing else {}))
            self.json({"transfer": "basic", "objects": objects})

    def upload(self, digest: str) -> None:
        good = hashlib.sha256(self.body).hexdigest() == digest
        if good:
            self.server.large[digest] = self.body
        self.json({}, 200 if good else 400)

    def commit(self, name: str, branch: str) -> None:
        if not self.may_write() or (repo := self.repo(name)) is None:
            return
        lines = [json.loads(line) for line in self.body.splitlines()]
        files = {}
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            if line["key"] == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
        removed = [line["value"]["path"] for line in lines if line["key"] == "deletedFile"]
        commit = repo.commit(files, branch, lines[0]["value"]["summary"], removed)
        self.json({"commitUrl": f"{self.server.url}/{name}/commit/{commit}", "commitOid": commit})


NAME = r"([^/]+/[^/]+)"
ROUTES: list[tuple[str, str, Callable[..., None]]] = [
    ("GET HEAD", rf"/{NAME}/resolve/(.+)/([^/]+)", Handler.resolve),
    ("GET HEAD", r"/large/(\w+)", Handler.stored),
    ("GET", rf"/api/models/{NAME}", Handler.info),
    ("GET", rf"/api/models/{NAME}/revision/(.+)", Handler.info),
    ("POST", r"/api/repos/create", Handler.create),
    ("POST", rf"/api/models/{NAME}/branch/(.+)", Handler.branch),
    ("POST", r"/api/validate-yaml", Handler.validate),
    ("POST", rf"/api/models/{NAME}/preupload/(.+)", Handler.preupload),
    ("POST", rf"/{NAME}\.git/info/lfs/objects/batch", Handler.batch),
    ("PUT", r"/upload/(\w+)", Handler.upload),
    ("POST", rf"/api/models/{NAME}/commit/(.+)", Handler.commit),
]
