"""OpenSearch and Elasticsearch as their documentation has them, in a thread of this process: strict, and small.

It refuses what the real ones refuse, and scores as Lucene's FeatureField does. Its rules are written from the vendors'
pages and from nothing of this project.
"""

import json
import math
import re
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np

TINY = 2.0**-126
INDEX_SETTINGS = {"number_of_shards", "number_of_replicas", "refresh_interval"}
SEISMIC = {"n_postings", "cluster_ratio", "summary_prune_ratio", "approximate_threshold"}
SEISMIC |= {"quantization_ceiling_search", "quantization_ceiling_ingest"}
SEARCH = {"size", "query", "stored_fields", "docvalue_fields", "track_total_hits", "_source"}


class Problem(Exception):
    def __init__(self, status, kind, reason):
        super().__init__(reason)
        self.status, self.error = status, {"type": kind, "reason": reason}


def bad(reason, kind="illegal_argument_exception"):
    return Problem(400, kind, reason)


def nine_bits(weight):
    """The weight without what is beyond nine significant bits."""
    fraction, exponent = math.frexp(weight)
    return math.ldexp(math.floor(fraction * 512) / 512, exponent)


class Index:
    def __init__(self, meta, properties, settings):
        self.meta, self.properties, self.settings = meta, properties, settings
        self.written, self.seen = {}, {}  # vectors by _id; those seen by searches

    @property
    def vector(self):
        return self.properties["vector"]


class FakeSearcher:
    """``flavour`` is "opensearch" or "elasticsearch".

    ``failures`` are (method, end of the path, status, headers) that answer a request once each, in order, in place of
    the answer; a status of 0 closes the connection, one below 0 does what was asked and closes it. ``refused`` has
    statuses by _id, one for each time that the document is put. ``before_bulk`` is called with each bulk body.
    """

    def __init__(self, flavour, version, authorization=None, most_bytes=100 * 2**20):
        self.flavour, self.version, self.authorization, self.most_bytes = flavour, version, authorization, most_bytes
        self.indices, self.failures, self.refused, self.requests = {}, [], {}, []
        self.forbidden, self.before_bulk = False, lambda body: None
        self.lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # head and body in one packet: no waiting for acknowledgements

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with fake.lock:
                    answer = fake.answered(self.command, self.path, self.headers, body)
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, told = answer
                content = json.dumps(told).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": len(content)}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_DELETE = answer

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=lambda: self.server.serve_forever(poll_interval=0.01), daemon=True)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answered(self, method, target, headers, body):
        parts = urlsplit(target)
        self.requests.append((method, parts.path, body))
        for number, (verb, end, status, extra) in enumerate(self.failures):
            if verb == method and parts.path.endswith(end):
                del self.failures[number]
                if status < 0:
                    with suppress(Problem):
                        self.routed(method, parts, headers, body)
                if status <= 0:
                    return None
                return status, extra, {"error": {"type": "injected", "reason": "try later"}, "status": status}
        try:
            return 200, {}, self.routed(method, parts, headers, body)
        except Problem as problem:
            return (
                problem.status,
                {},
                {"error": {"root_cause": [problem.error], **problem.error}, "status": problem.status},
            )

    def routed(self, method, parts, headers, body):
        if self.authorization is not None and headers.get("Authorization") != self.authorization:
            raise Problem(401, "security_exception", "unable to authenticate")
        if self.forbidden:
            raise Problem(403, "security_exception", "action is unauthorized")
        if len(body) > self.most_bytes:
            raise Problem(413, "content_too_long", "entity content is too long")
        kind = headers.get("Content-Type")
        name, _, verb = parts.path.strip("/").partition("/")
        query = parse_qs(parts.query)
        if not name:
            return {"version": {"number": self.version, **({"distribution": "opensearch"} if self.is_open else {})}}
        if name == "_cat":
            pattern = verb.removeprefix("indices/").replace("*", "")
            return [{"index": index} for index in self.indices if index.startswith(pattern)]
        if (method, verb) == ("PUT", ""):
            return self.make(name, json.loads(body))
        if name not in self.indices:
            raise Problem(404, "index_not_found_exception", f"no such index [{name}]")
        index = self.indices[name]
        if verb in ("_bulk", "_msearch") and kind != "application/x-ndjson":
            raise bad(f"Content-Type [{kind}] is not supported")
        known = {
            ("DELETE", ""): lambda: self.indices.pop(name) and {"acknowledged": True},
            ("GET", "_count"): lambda: {"count": len(index.seen)},
            ("GET", "_mapping"): lambda: {name: {"mappings": {"_meta": index.meta, "properties": index.properties}}},
            ("PUT", "_settings"): lambda: index.settings.update(json.loads(body)["index"]) or {"acknowledged": True},
            ("POST", "_refresh"): lambda: index.seen.update(index.written) or {"_shards": {"failed": 0}},
            ("POST", "_forcemerge"): lambda: index.settings.update(merged=query["max_num_segments"]) or {},
            ("GET", "_stats/store"): lambda: {"_all": {"primaries": {"store": {"size_in_bytes": 1000}}}},
            ("POST", "_bulk"): lambda: self.bulk(index, body),
            ("POST", "_search"): lambda: self.search(index, json.loads(body)),
            ("POST", "_msearch"): lambda: self.searches(index, body),
        }
        if (method, verb) not in known:
            raise Problem(405, "method_not_allowed", f"{method} {parts.path}")
        return known[method, verb]()

    @property
    def is_open(self):
        return self.flavour == "opensearch"

    @property
    def number(self):
        return tuple(int(part) for part in self.version.split(".")[:2])

    def make(self, name, body):
        if name in self.indices:
            raise bad(f"index [{name}] already exists", "resource_already_exists_exception")
        if not re.fullmatch(r"[a-z0-9][^A-Z\\/*?\"<>| ,#:]*", name):
            raise bad(f"Invalid index name [{name}]", "invalid_index_name_exception")
        if not body.keys() <= {"settings", "mappings"}:
            raise bad(f"unknown key in {sorted(body)}")
        settings = body["settings"]["index"]
        if unknown := settings.keys() - INDEX_SETTINGS - ({"sparse"} if self.is_open else set()):
            raise bad(f"unknown setting [index.{min(unknown)}]")
        properties = body["mappings"]["properties"]
        for field, mapping in properties.items():
            self.check_mapping(field, mapping, settings)
        self.indices[name] = Index(body["mappings"].get("_meta", {}), properties, settings)
        return {"acknowledged": True}

    def check_mapping(self, field, mapping, settings):
        kind, own = mapping["type"], mapping.keys() - {"type"}
        allowed = {"long": {"index", "doc_values"}, "keyword": {"index", "doc_values"}, "rank_features": set()}
        allowed["sparse_vector"] = {"method"} if self.is_open else {"index_options", "store"}
        if not self.is_open:
            del allowed["rank_features"]  # it has one, which sparse_vector queries do not search
            if not ((8, 19) <= self.number < (9, 0) or self.number >= (9, 1)):
                allowed["sparse_vector"] = {"store"}
        if kind not in allowed or own - allowed[kind]:
            raise bad(
                f"unknown parameter {sorted(own)} on mapper [{field}] of type [{kind}]", "mapper_parsing_exception"
            )
        if kind == "sparse_vector" and self.is_open:
            method = mapping.get("method", {})
            if method.get("name") != "seismic" or not settings.get("sparse"):
                raise bad("[sparse_vector] requires [method] parameter and index.sparse", "mapper_parsing_exception")
            if "engine" in method and (self.number < (3, 9) or method["engine"] not in ("lucene", "native")):
                raise bad("unknown engine", "mapper_parsing_exception")
            if method.keys() - {"name", "engine", "parameters"} or method.get("parameters", {}).keys() - SEISMIC:
                raise bad("Unrecognized parameter", "mapper_parsing_exception")
        options = mapping.get("index_options", {})
        if options.get("prune") is False and "pruning_config" in options:
            raise bad("[pruning_config] with [prune] false", "mapper_parsing_exception")

    def bulk(self, index, body):
        self.before_bulk(body)
        if not body.endswith(b"\n"):
            raise bad("The bulk request must be terminated by a newline [\\n]")
        lines = body.split(b"\n")[:-1]
        items = []
        for action, document in zip(lines[::2], lines[1::2], strict=True):
            told = json.loads(action)
            assert list(told) == ["index"]
            own = told["index"]["_id"]
            try:
                if refusals := self.refused.get(own):
                    raise Problem(refusals.pop(0), "es_rejected_execution_exception", "the queue is full")
                index.written[own] = self.document(index, own, json.loads(document))
                items.append({"index": {"_id": own, "status": 201}})
            except Problem as problem:
                items.append({"index": {"_id": own, "status": problem.status, "error": problem.error}})
        return {"errors": any("error" in item["index"] for item in items), "items": items}

    def document(self, index, own, document):
        if not isinstance(own, str) or len(own.encode()) > 512:
            raise bad("id is too long, must be no longer than 512 bytes")
        if document.keys() - index.properties.keys():
            raise bad("introduction of a field is not allowed", "strict_dynamic_mapping_exception")
        vector = document.get("vector", {})
        if not isinstance(vector, dict):
            raise bad("fields must be json objects", "mapper_parsing_exception")
        for key, weight in vector.items():
            if "." in key or not key:
                raise bad(f"fields do not support dots in feature names but found [{key}]", "mapper_parsing_exception")
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight >= TINY:
                raise bad(f"featureValue must be a positive normal float, got: {weight}", "mapper_parsing_exception")
            if self.is_open and index.vector["type"] == "sparse_vector" and not key.isdecimal():
                raise bad("[sparse_vector] fields should be valid integer", "mapper_parsing_exception")
        return {"number": document["number"], "vector": vector}

    def searches(self, index, body):
        if not body.endswith(b"\n"):
            raise bad("The msearch request must be terminated by a newline [\\n]")
        lines = [json.loads(line) for line in body.split(b"\n")[:-1]]
        answers = []
        for header, search in zip(lines[::2], lines[1::2], strict=True):
            assert header.keys() <= {"allow_partial_search_results"}
            try:
                if refusals := self.refused.get("search"):
                    raise Problem(refusals.pop(0), "es_rejected_execution_exception", "the queue is full")
                answers.append({**self.search(index, search), "status": 200})
            except Problem as problem:
                answers.append({"error": problem.error, "status": problem.status})
        return {"responses": answers}

    def search(self, index, body):
        if unknown := body.keys() - SEARCH:
            raise bad(f"unknown key [{min(unknown)}]", "parsing_exception")
        if not 0 <= body["size"] <= 10_000:
            raise bad("Result window is too large, from + size must be less than or equal to: [10000]")
        if body.get("stored_fields") == "_none_" and body.get("_source"):
            raise bad("[stored_fields] cannot be disabled if [_source] is requested")
        scores = self.scores(index, *self.tokens(index, body["query"]))
        found = sorted(scores, key=lambda own: (-scores[own], -int(own)))[
            : body["size"]
        ]  # ties: the last written first
        hits = [{"_score": scores[own], "fields": {"number": [index.seen[own]["number"]]}} for own in found]
        return {"timed_out": False, "_shards": {"failed": 0}, "hits": {"hits": hits}}

    def tokens(self, index, query):
        """Weights by token, and whether the search is approximate where segments are large."""
        ((kind, told),) = query.items()
        if kind == "neural_sparse" and self.is_open:
            ((field, own),) = told.items()
            tokens, method = own["query_tokens"], own.get("method_parameters")
            if method is not None and index.properties[field]["type"] != "sparse_vector":
                raise bad("[method_parameters] only works on [sparse_vector] fields")
            if method is not None and method.keys() - {"k", "top_n", "heap_factor", "filter"}:
                raise bad("unknown field in [method_parameters]", "parsing_exception")
        elif kind == "sparse_vector" and not self.is_open:
            field, tokens, method = told["field"], told["query_vector"], None
            options = index.vector.get("index_options", {})
            if told.get("prune", options.get("prune", self.number >= (9, 1))):
                # Of rare tokens too, which the real one keeps: a query with pruning on is found out.
                tokens = {key: weight for key, weight in tokens.items() if weight >= 0.4}
        else:
            raise bad(f"unknown query [{kind}]", "parsing_exception")
        if len(tokens) > 1024:
            raise bad("maxClauseCount is set to 1024", "too_many_clauses")
        for key, weight in tokens.items():
            if not 0 < weight <= 64:
                raise bad(f"weight must be in (0, 64], got: {weight}")
            if self.is_open and index.vector["type"] == "sparse_vector" and not key.isdecimal():
                raise bad("Query tokens should be valid integer")
        return tokens, method

    def scores(self, index, tokens, method):
        parameters = index.vector.get("method", {}).get("parameters", {})
        approximate = method is not None and len(index.seen) >= parameters.get("approximate_threshold", 1_000_000)
        if approximate:
            kept = sorted(tokens, key=tokens.get, reverse=True)[: method["top_n"]]
            document = quantizer(parameters.get("quantization_ceiling_ingest", 3.0))
            asked = quantizer(parameters.get("quantization_ceiling_search", 16.0))
            tokens = {key: asked(tokens[key]) for key in kept}
        else:
            document = nine_bits
        scores = {}
        for own, found in index.seen.items():
            vector = found["vector"]
            both = tokens.keys() & vector.keys()
            parts = [np.float32(tokens[key]) * np.float32(document(vector[key])) for key in both]
            if parts:
                scores[own] = float(np.float32(sum(float(part) for part in parts)))
        return scores


def quantizer(ceiling):
    return lambda weight: round(min(weight, ceiling) / ceiling * 255) * ceiling / 255
