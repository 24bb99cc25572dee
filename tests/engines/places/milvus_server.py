"""A Milvus server on a port of this machine: milvus-lite behind gRPC, made as strict as a server.

It has the version that it is told, wants a token, keeps a collection's description, knows the algorithms of its
version, counts exactly only what is loaded, and returns at most 16,384 documents. ``trouble`` has, by method, the
errors that come in place of the next answers: a number of Milvus, or a name of gRPC's.
"""

import base64
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

OLD = {"DAAT_MAXSCORE", "DAAT_WAND", "TAAT_NAIVE"}
NEW = OLD | {"BLOCK_MAX_MAXSCORE", "BLOCK_MAX_WAND", "SINDI"}


class State:
    def __init__(self, token="", version="v3.0.1"):
        self.token, self.version, self.trouble = token, version, {}
        self.algorithms, self.descriptions, self.calls = {}, {}, []


@contextmanager
def serving(folder, state):
    """Serve a database in ``folder``; gives its address."""
    import grpc
    from milvus_lite.db import MilvusLite
    from pymilvus.grpc_gen import milvus_pb2_grpc

    database = MilvusLite(str(folder))
    server = grpc.server(ThreadPoolExecutor(4))
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(_strict(database, state), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(0).wait()
        database.close()


def _strict(database, state):
    """The servicer; its packages are imported by those tests that serve."""
    from milvus_lite.adapter.grpc.servicer import MilvusServicer
    from pymilvus.grpc_gen import common_pb2, milvus_pb2

    class Strict(MilvusServicer):
        def __getattribute__(self, name):
            method = super().__getattribute__(name)
            return method if not name[0].isupper() else lambda *asked: _checked(state, self, name, method, *asked)

        def GetVersion(self, request, context):
            return milvus_pb2.GetVersionResponse(status=common_pb2.Status(), version=state.version)

        def AllocTimestamp(self, request, context):
            return milvus_pb2.AllocTimestampResponse(status=common_pb2.Status(), timestamp=1)

        def DescribeCollection(self, request, context):
            told = super().DescribeCollection(request, context)
            told.schema.description = state.descriptions.get(request.collection_name, "")
            return told

    return Strict(database)


def _checked(state, servicer, name, method, request, context):
    import grpc
    from pymilvus.grpc_gen import common_pb2, milvus_pb2

    state.calls.append(name)
    told = dict(context.invocation_metadata()).get("authorization", "")
    if state.token and base64.b64decode(told).decode() != state.token:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "auth check failure, please check api key is correct")
    error = (
        state.trouble[name].pop(0) if state.trouble.get(name) else REFUSALS.get(name, _none)(state, servicer, request)
    )
    if error is None:
        return method(request, context)
    if isinstance(error, str):
        context.abort(grpc.StatusCode[error], "in trouble")
    status = common_pb2.Status(code=error, error_code=1, reason=REASONS.get(error, "in trouble"))
    of_results = {"Upsert": milvus_pb2.MutationResult, "Search": milvus_pb2.SearchResults}
    kind = (of_results | {"Query": milvus_pb2.QueryResults}).get(name)
    return status if kind is None else kind(status=status)


REASONS = {101: "collection not loaded", 1100: "invalid parameter"}


def _none(state, servicer, request):
    return None


def _unknown_property(state, servicer, request):
    from pymilvus.grpc_gen import schema_pb2

    schema = schema_pb2.CollectionSchema()
    schema.ParseFromString(request.schema)
    state.descriptions[request.collection_name] = schema.description
    return 1100 if len(request.properties) else None


def _unknown_algorithm(state, servicer, request):
    given, known = str(request.extra_params), NEW if state.version.startswith("v3") else OLD
    algorithm = next((name for name in sorted(known, key=len, reverse=True) if name in given), None)
    state.algorithms[request.collection_name] = algorithm
    return 1100 if algorithm is None else None


def _not_loaded(state, servicer, request):
    loaded = servicer._get_collection(request, None).load_state == "loaded"
    return None if loaded and request.collection_name in state.algorithms else 101


REFUSALS = {"CreateCollection": _unknown_property, "CreateIndex": _unknown_algorithm, "Query": _not_loaded}
