"""A hub on this machine: the part of its HTTP interface that pushing and pulling use, and strict about it.

It refuses what the hub refuses: requests without the token, commits that are no NDJSON or name contents that were not
uploaded, bytes with another checksum, a parent that is not the head, front matter with a licence that is none. The
token must never reach the place of large files, which has another host name. A request that the hub does not know is
kept in ``unknown``, which must stay empty.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

TOKEN = "hf_standin"
LICENCES = ("apache-2.0", "mit", "cc-by-4.0", "other")
LARGE = (".safetensors", ".bin")


class Fault(NamedTuple):
    """What goes wrong once: the status of an answer, or after how many bytes the connection breaks."""

    method: str
    pattern: str
    status: int = 0
    cut: int | None = None


class Repo:
    """A repository: its files by commit, the branches, and whether it is private."""

    def __init__(self, private: bool) -> None:
        self.private = private
        self.commits: dict[str, dict[str, bytes]] = {}
        self.branches: dict[str, str] = {}
        self.commit({}, "main")

    def commit(self, files: dict[str, bytes], branch: str) -> str:
        """A new commit at the end of ``branch``."""
        oid = hashlib.sha1(f"{len(self.commits)} {branch} {sorted(files)}".encode()).hexdigest()
        self.commits[oid] = files
        self.branches[branch] = oid
        return oid

    def resolve(self, revision: str) -> str | None:
        """The commit that a branch or a commit is; None where there is none."""
        revision = self.branches.get(revision, revision)
        return revision if revision in self.commits else None


class StandIn:
    """The hub's state; ``endpoint`` is its address, ``requests`` are all that came as ``(method, path)``."""

    def __init__(self) -> None:
        self.repos: dict[tuple[str, str], Repo] = {}
        self.uploaded: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.unknown: list[str] = []
        self.faults: list[Fault] = []
        self.on_bytes: Callable[[str], None] | None = None  # called in the middle of a large file, with its name
        self.endpoint, self.large = "", ""

    def of(self, method: str, pattern: str) -> list[str]:
        """The paths of the requests that came by ``method`` and match ``pattern``."""
        return [path for how, path in self.requests if how == method and re.search(pattern, path)]

    def files(self, kind: str, name: str, revision: str = "main") -> dict[str, bytes]:
        """The files of a repository, by name."""
        repo = self.repos[kind, name]
        return repo.commits[repo.branches.get(revision, revision)]

    def fault(self, method: str, path: str) -> Fault | None:
        """The fault that is due for a request; it happens once."""
        for fault in self.faults:
            if fault.method == method and re.search(fault.pattern, path):
                self.faults.remove(fault)
                return fault
        return None


@contextmanager
def serving() -> Iterator[StandIn]:
    """A hub that listens on a free port for the time of the block."""
    hub = StandIn()

    class Bound(_Handler):
        standin = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    hub.large = f"http://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Refused(Exception):
    def __init__(self, status: int, message: str = "", code: str = "", body: Any = None) -> None:
        super().__init__(message)
        self.status, self.code, self.body = status, code, body


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    standin: StandIn

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._handle("GET")

    def do_HEAD(self) -> None:
        self._handle("HEAD")

    def do_POST(self) -> None:
        self._handle("POST")

    def do_PUT(self) -> None:
        self._handle("PUT")

    def _handle(self, method: str) -> None:
        hub, split = self.standin, urlsplit(self.path)
        path, asked = unquote(split.path), parse_qs(split.query)
        body = self._body()
        hub.requests.append((method, path))
        fault = hub.fault(method, path)
        try:
            if fault is not None and fault.status:
                raise _Refused(fault.status, "by order of the test")
            for pattern, methods, answer in ROUTES:
                found = re.fullmatch(pattern, path)
                if found and method in methods.split():
                    if answer not in (_Handler.put, _Handler.give):
                        self._check_token(path)
                    elif self.headers.get("authorization"):
                        raise _Refused(400, "the token was sent to the place of large files")
                    answer(self, *found.groups(), body=body, asked=asked, cut=fault.cut if fault else None)
                    return
            if path not in NOT_HERE:
                hub.unknown.append(f"{method} {path}")
            raise _Refused(404, "no such address")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the other side was killed
        except _Refused as refused:
            headers = {"X-Error-Message": str(refused)} | ({"X-Error-Code": refused.code} if refused.code else {})
            self._answer(refused.status, refused.body or {"error": str(refused)}, **headers)

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _check_token(self, path: str) -> None:
        given = self.headers.get("authorization")
        if given not in (None, f"Bearer {TOKEN}"):
            raise _Refused(401, "Invalid credentials in Authorization header")
        if given is None and not path.startswith("/api/validate-yaml") and self.command == "POST":
            raise _Refused(401, "Invalid username or password.")

    def _answer(self, status: int, value: Any = None, body: bytes | None = None, **headers: str) -> None:
        octets = json.dumps(value).encode() if body is None else body
        self.send_response(status)
        for name, text in ({"Content-Length": str(len(octets))} | headers).items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(octets)

    def _repo(self, kind: str, name: str) -> Repo:
        repo = self.standin.repos.get((kind, name))
        if repo is None or (repo.private and not self.headers.get("authorization")):
            raise _Refused(404 if self.headers.get("authorization") else 401, "Repository not found", "RepoNotFound")
        return repo

    def _commit(self, repo: Repo, revision: str) -> str:
        found = repo.resolve(revision)
        if found is None:
            raise _Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return found

    def create(self, *, body: bytes, **_: Any) -> None:
        asked = json.loads(body)
        kind, name = asked.get("type", "model"), f"{asked['organization']}/{asked['name']}"
        if asked["organization"] != "me":
            raise _Refused(
                403, f"You don't have the rights to create a model under the namespace {asked['organization']}"
            )
        if (kind, name) in self.standin.repos:
            raise _Refused(409, "You already created this repo")
        private = asked.get("visibility") == "private" or asked.get("private") is True
        self.standin.repos[kind, name] = Repo(private)
        self._answer(200, {"url": f"{self.standin.endpoint}/{'' if kind == 'model' else kind + 's/'}{name}"})

    def info(self, kind: str, name: str, revision: str | None, **_: Any) -> None:
        repo = self._repo(kind, name)
        commit = self._commit(repo, revision or "main")
        files = [{"rfilename": each} for each in repo.commits[commit]]
        self._answer(200, {"id": name, "sha": commit, "private": repo.private, "tags": [], "siblings": files})

    def branch(self, kind: str, name: str, branch: str, **_: Any) -> None:
        repo = self._repo(kind, name)
        if branch in repo.branches:
            raise _Refused(409, "Reference already exists")
        repo.branches[branch] = repo.branches["main"]
        self._answer(200, {})

    def tree(self, kind: str, name: str, revision: str, below: str | None, **_: Any) -> None:
        repo = self._repo(kind, name)
        files = repo.commits[self._commit(repo, revision)]
        if below:
            files = {each: octets for each, octets in files.items() if each.startswith(f"{below}/")}
            if not files:
                raise _Refused(404, f"{below} does not exist", "EntryNotFound")
        folders = {each.rpartition("/")[0] for each in files} - {""}
        found: list[Any] = [{"type": "directory", "path": each, "oid": "0" * 40, "size": 0} for each in sorted(folders)]
        for each, octets in files.items():
            entry: dict[str, Any] = {"type": "file", "path": each, "oid": blob(octets), "size": len(octets)}
            if is_large(each, octets):
                entry["lfs"] = {"oid": hashlib.sha256(octets).hexdigest(), "size": len(octets), "pointerSize": 130}
            found.append(entry)
        self._answer(200, found)

    def validate(self, *, body: bytes, **_: Any) -> None:
        asked = json.loads(body)
        found = re.match(r"---\n(.*?)\n---\n", asked["content"], re.S)
        header = yaml.safe_load(found[1]) if found else None
        if not isinstance(header, dict):
            raise _Refused(400, body={"errors": [{"message": "no metadata"}], "warnings": []})
        if "license" in header and header["license"] not in LICENCES:
            message = f'"license" must be one of {", ".join(LICENCES)}'
            raise _Refused(400, body={"errors": [{"message": message}], "warnings": []})
        self._answer(200, {"errors": [], "warnings": []})

    def preupload(self, kind: str, name: str, revision: str, *, body: bytes, **_: Any) -> None:
        repo = self._repo(kind, name)
        there = repo.commits[self._commit(repo, revision)]
        files = []
        for each in json.loads(body)["files"]:
            base64.b64decode(each["sample"], validate=True)
            path, octets = each["path"], there.get(each["path"])
            large = each["size"] > 0 and path.endswith(LARGE)
            oid = None if octets is None else hashlib.sha256(octets).hexdigest() if large else blob(octets)
            mode = "lfs" if large else "regular"
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self._answer(200, {"files": files})

    def batch(self, _prefix: str | None, _name: str, *, body: bytes, **_: Any) -> None:
        asked = json.loads(body)
        if (asked["operation"], asked["hash_algo"]) != ("upload", "sha256") or "basic" not in asked["transfers"]:
            raise _Refused(422, "not an upload by SHA-256")
        objects = []
        for each in asked["objects"]:
            entry: dict[str, Any] = {"oid": each["oid"], "size": each["size"]}
            if each["oid"] not in self.standin.uploaded:
                entry["actions"] = {"upload": {"href": f"{self.standin.large}/large/{each['oid']}", "header": {}}}
            objects.append(entry)
        self._answer(200, {"transfer": "basic", "objects": objects})

    def put(self, oid: str, *, body: bytes, **_: Any) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            raise _Refused(400, "the checksum of the bytes is another one")
        self.standin.uploaded[oid] = body
        self._answer(200, {})

    def commit(self, kind: str, name: str, branch: str, *, body: bytes, **_: Any) -> None:
        repo = self._repo(kind, name)
        if self.headers["content-type"] != "application/x-ndjson" or branch not in repo.branches:
            raise _Refused(400, "not NDJSON, or no branch")
        header, *lines = (json.loads(line) for line in body.splitlines())
        if header["key"] != "header" or not header["value"]["summary"]:
            raise _Refused(400, "the first line is no header with a summary")
        if header["value"].get("parentCommit") not in (None, repo.branches[branch]):
            raise _Refused(412, "A commit has happened since. Please refresh and try again.")
        files = dict(repo.commits[repo.branches[branch]])
        for line in lines:
            self._apply(files, line["key"], line["value"])
        oid = repo.commit(files, branch)
        self._answer(200, {"commitUrl": f"{self.standin.endpoint}/{name}/commit/{oid}", "commitOid": oid})

    def _apply(self, files: dict[str, bytes], key: str, value: dict[str, Any]) -> None:
        if key == "deletedFile":
            if value["path"] not in files:
                raise _Refused(404, "A file with this name doesn't exist", "EntryNotFound")
            del files[value["path"]]
        elif key == "file" and value["encoding"] == "base64":
            files[value["path"]] = base64.b64decode(value["content"], validate=True)
        elif key == "lfsFile" and len(self.standin.uploaded.get(value["oid"], b"")) == value["size"]:
            files[value["path"]] = self.standin.uploaded[value["oid"]]
        else:
            raise _Refused(400, f"cannot do {key} of {value.get('path')}")

    def resolve(self, prefix: str | None, name: str, revision: str, path: str, *, cut: int | None, **_: Any) -> None:
        repo = self._repo("dataset" if prefix else "model", name)
        commit = self._commit(repo, revision)
        octets = repo.commits[commit].get(path)
        if octets is None:
            raise _Refused(404, "Entry not found", "EntryNotFound")
        headers = {"X-Repo-Commit": commit, "ETag": f'"{blob(octets)}"', "Accept-Ranges": "bytes"}
        if is_large(path, octets):
            oid = hashlib.sha256(octets).hexdigest()
            self.standin.uploaded[oid] = octets
            headers |= {"X-Linked-ETag": f'"{oid}"', "X-Linked-Size": str(len(octets))}
            self._answer(302, body=b"", Location=f"{self.standin.large}/given/{oid}/{path}", **headers)
        else:
            self._send(octets, path, cut, headers)

    def give(self, oid: str, path: str, *, cut: int | None, **_: Any) -> None:
        self._send(self.standin.uploaded[oid], path, cut, {"ETag": f'"{oid}"'})

    def _send(self, octets: bytes, path: str, cut: int | None, headers: dict[str, str]) -> None:
        status, part = 200, octets
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range") or "")
        if found:
            status, part = 206, octets[int(found[1]) :]
            headers = headers | {"Content-Range": f"bytes {found[1]}-{len(octets) - 1}/{len(octets)}"}
        if self.command == "HEAD" or (cut is None and self.standin.on_bytes is None):
            self._answer(status, body=part, **headers)
            return
        self.send_response(status)
        for name, text in ({"Content-Length": str(len(part))} | headers).items():
            self.send_header(name, text)
        self.end_headers()
        middle = len(part) // 2 if cut is None else cut
        self.wfile.write(part[:middle])
        self.wfile.flush()
        if cut is not None:
            self.close_connection = True
            return
        if self.standin.on_bytes is not None:
            self.standin.on_bytes(path)
        self.wfile.write(part[middle:])


def blob(octets: bytes) -> str:
    """Git's name for a file of these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(octets) + octets).hexdigest()


def is_large(path: str, octets: bytes) -> bool:
    """True for a file that lies in the place of large files."""
    return bool(octets) and path.endswith(LARGE)


NOT_HERE = ("/api/agent-harnesses",)
"""Requests that the hub's library makes for itself, and that may be refused."""
API = r"/api/(model|dataset)s/([\w.-]+/[\w.-]+)"
ROUTES: list[tuple[str, str, Callable[..., None]]] = [
    ("/api/repos/create", "POST", _Handler.create),
    ("/api/validate-yaml", "POST", _Handler.validate),
    (rf"{API}/preupload/(.+)", "POST", _Handler.preupload),
    (rf"{API}/branch/(.+)", "POST", _Handler.branch),
    (rf"{API}/commit/(.+)", "POST", _Handler.commit),
    (rf"{API}/tree/([^/]+)(?:/(.+))?", "GET", _Handler.tree),
    (rf"{API}(?:/revision/(.+))?", "GET", _Handler.info),
    (r"/(datasets/)?([\w.-]+/[\w.-]+)\.git/info/lfs/objects/batch", "POST", _Handler.batch),
    (r"/(datasets/)?([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)", "GET HEAD", _Handler.resolve),
    (r"/large/(\w+)", "PUT", _Handler.put),
    (r"/given/(\w+)/(.+)", "GET", _Handler.give),
]
