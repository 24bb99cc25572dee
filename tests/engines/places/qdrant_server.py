"""A small Qdrant over HTTP, in this process: the documented part of its REST interface that the engine uses.

It refuses what the real one refuses, and what no inverted index should be given: unknown fields, a body over the
limit, weights that are not positive, terms that repeat or are no u32, a wrong key. ``trouble`` has answers that come
in place of the next ones, as ``("points", 429, {"Retry-After": "7"})`` for a path with ``points`` in it.
"""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

INDEX = {"full_scan_threshold", "on_disk", "datatype", "memory"}
CREATED = {"vectors", "sparse_vectors", "metadata"}


class Refused(Exception):
    def __init__(self, status, problem):
        super().__init__(problem)
        self.status = status


class Qdrant:
    def __init__(self, key=None, version="1.20.0", limit=32 << 20):
        self.key, self.version, self.limit = key, version, limit
        self.collections, self.trouble, self.asked, self.busy = {}, [], [], []

    def answer(self, method, path, body, headers):
        self.asked.append((method, path))
        for trouble in self.trouble:
            if trouble[0] in path:
                self.trouble.remove(trouble)
                raise Refused(*trouble[1:2], "busy") if len(trouble) == 2 else Waiting(trouble[1], trouble[2])
        if self.key is not None and headers.get("api-key") != self.key:
            raise Refused(403 if headers.get("api-key") else 401, "Must provide an API key")
        if len(body) > self.limit:
            raise Refused(413, "Payload too large")
        if path == "/":
            return {"title": "qdrant - vector search engine", "version": self.version, "commit": "abc"}
        parts, given = path.strip("/").split("/"), json.loads(body) if body else {}
        assert parts.pop(0) == "collections", path
        if not parts:
            return self._ok({"collections": [{"name": name} for name in self.collections]})
        return self._ok(getattr(self, "_".join([method.lower(), *parts[1:]]))(parts[0], given))

    def _ok(self, result):
        return {"result": result, "status": "ok", "time": 0.001}

    def _there(self, name):
        if name not in self.collections:
            raise Refused(404, f"Not found: Collection `{name}` doesn't exist!")
        return self.collections[name]

    def get_exists(self, name, _):
        return {"exists": name in self.collections}

    def put(self, name, given):
        unknown = given.keys() - CREATED
        if tuple(map(int, self.version.split(".")[:2])) < (1, 16):
            unknown |= {"metadata"} & given.keys()
        if unknown or given.get("vectors") != {} or len(given["sparse_vectors"]) != 1:
            raise Refused(400, f"Format error in JSON body: {sorted(unknown)}")
        (index,) = (each["index"] for each in given["sparse_vectors"].values())
        if index.keys() - INDEX:
            raise Refused(400, f"Format error in JSON body: unknown field of {sorted(index)}")
        if name in self.collections:
            raise Refused(409, f"Wrong input: Collection `{name}` already exists!")
        self.collections[name] = {"given": given, "points": {}}
        return True

    def delete(self, name, _):
        return self.collections.pop(name, None) is not None

    def patch(self, name, given):
        assert given.keys() == {"optimizers_config"}, given
        self._there(name)
        return True

    def get(self, name, _):
        there = self._there(name)
        hnsw = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000}
        optimizer = {"deleted_threshold": 0.2, "vacuum_min_vector_number": 1000, "default_segment_number": 0}
        params = {"sparse_vectors": there["given"]["sparse_vectors"]}
        config = {"params": params, "hnsw_config": hnsw, "optimizer_config": optimizer | {"flush_interval_sec": 5}}
        return {
            "status": self.busy.pop(0) if self.busy else "green",
            "optimizer_status": "ok",
            "segments_count": 1,
            "points_count": len(there["points"]),
            "config": config | {"metadata": there["given"].get("metadata")},
            "payload_schema": {},
        }

    def put_points(self, name, given):
        there = self._there(name)
        (vector,) = there["given"]["sparse_vectors"]
        for point in given["points"]:
            terms, weights = point["vector"][vector]["indices"], point["vector"][vector]["values"]
            number, fits = point["id"], all(type(term) is int and 0 <= term < 2**32 for term in terms)
            if type(number) is not int or number < 0 or not fits or len(set(terms)) < len(terms):
                raise Refused(422, f"Validation error in JSON body: point {number}: indices must be unique")
            if len(terms) != len(weights) or not terms or not all(weight > 0 for weight in weights):
                raise Refused(422, f"Validation error in JSON body: point {number}: values must be positive")
        for point in given["points"]:
            pairs = zip(point["vector"][vector]["indices"], point["vector"][vector]["values"], strict=True)
            there["points"][point["id"]] = (dict(pairs), point["payload"])
        return {"operation_id": 0, "status": "completed"}

    def post_points_count(self, name, given):
        assert given["exact"] is True
        return {"count": len(self._there(name)["points"])}

    def post_points_query_batch(self, name, given):
        points = self._there(name)["points"]
        return [{"points": self._found(points, search)} for search in given["searches"]]

    def _found(self, points, search):
        given = search["query"]["nearest"]
        query = dict(zip(given["indices"], given["values"], strict=True))
        scores = {
            number: sum(weight * query[term] for term, weight in vector.items() if term in query)
            for number, (vector, _) in points.items()
            if vector.keys() & query.keys()
        }
        best = sorted(scores, key=lambda number: (-scores[number], -number))[: search["limit"]]
        return [{"id": number, "version": 0, "score": scores[number]} for number in best]


class Waiting(Refused):
    def __init__(self, status, headers):
        super().__init__(status, "busy")
        self.headers = headers


@contextmanager
def serving(qdrant):
    """Serve ``qdrant`` on a port of this machine; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, more = 200, {}
            try:
                told = qdrant.answer(self.command, self.path.partition("?")[0], body, self.headers)
            except Refused as refused:
                status, more = refused.status, getattr(refused, "headers", {})
                told = {"status": {"error": str(refused)}, "time": 0.0}
            answer = json.dumps(told).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": len(answer), **more}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = handle_any

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
