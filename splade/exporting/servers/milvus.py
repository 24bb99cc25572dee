"""Files for Milvus: rows of JSON for its bulk import, the bodies of a collection and of searches."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from splade.exporting.lines import Layout, json_line, parse_line
from splade.exporting.servers.vector_lines import (
    Count,
    Numbered,
    ServerFiles,
    json_vector,
    kept_entry,
    parsed,
    refuse_long_ids,
    rounded,
    steps_for_queries,
)
from splade.exporting.target import Documents, Written
from splade.exporting.vectors import Entry, Vector
from splade.files import InputError, whole_file, write_json
from splade.records import SparseBatch

COLLECTION, LEFT_OUT = "collection.json", "left_out.jsonl"
LONGEST = 65_535  # bytes of a VARCHAR
HEAD, FOOT = '{"rows":[', "]}"


class Milvus(ServerFiles):
    """The `FileTarget` of ``collection.json``, ``docs.json``, ``left_out.jsonl`` and ``queries.jsonl``.

    A row is ``{"id", "doc_id", "vector"}``, ``id`` the number in the collection. Milvus refuses empty vectors: ids of
    documents without terms are in ``left_out.jsonl`` alone, which has a line for each. ``hits`` documents are asked for
    by each search. ``shard_docs`` and ``gzip`` as in `splade.exporting.lines.Layout`; an import takes no packed files.
    """

    leaves_out_empty = True

    def __init__(self, hits: int = 1000, shard_docs: int | None = None, gzip: bool = False) -> None:
        if isinstance(hits, bool) or not 1 <= hits <= 16_384:
            raise InputError(f"export.hits={hits}: expected 1 to 16384, which Milvus returns at most")
        self.hits, self.layout = hits, Layout(shard_docs, gzip).checked()

    def write_documents(
        self,
        folder: Path,
        documents: Documents,
        words: Sequence[str],  # noqa: ARG002
    ) -> Written:
        """Write ``collection.json``, ``docs.json`` and ``left_out.jsonl`` into ``folder``."""
        coming = Count(documents, _check)
        with whole_file(folder / LEFT_OUT) as stream:

            def full() -> Iterator[Numbered]:
                for document in coming:
                    if len(document.vector.columns):
                        yield document
                    else:
                        stream.write(json_line({"id": document.number, "doc_id": document.vector.id}) + "\n")

            n_texts = self.layout.write_files(folder, "docs", ".json", full(), _rows, self.resuming)
        write_json(folder / COLLECTION, collection_body())
        return Written(n_texts + coming.n_empty, coming.n_empty)

    def search(self, vector: Vector) -> tuple[dict[str, Any], float]:
        """The body of a search by the interface of version 2."""
        asked = dict(zip(map(str, vector.columns.tolist()), rounded(vector.weights), strict=True))
        how = {"metricType": "IP", "params": {"drop_ratio_search": 0.0}}
        body = {"collectionName": "splade", "annsField": "vector", "data": [asked], "limit": self.hits}
        return body | {"outputFields": ["doc_id"], "searchParams": how}, 1.0

    def query_entry(self, path: Path, line: int, query_id: str, body: Any, scale: float, vocab_size: int) -> Entry:  # noqa: ARG002
        """The query of a line."""
        asked = {} if body is None else body["data"][0]
        return kept_entry(self, "query", query_id, *parsed(path, line, asked, vocab_size))

    def about(self) -> dict[str, Any]:
        """Describe the files for the manifest."""
        post = "curl -sS -X POST -H 'Content-Type: application/json' -d"
        unpack = ["gunzip docs*.json.gz"] if self.layout.gzip else []
        return {
            "quantization": "none: float32",
            "left_out": f"documents without terms, which Milvus refuses: their ids are in {LEFT_OUT}",
            "load": [
                *unpack,
                f"{post} @{COLLECTION} $URL/v2/vectordb/collections/create",
                "put docs*.json into the bucket of the server's object storage, as its folder splade/",
                f'{post} \'{{"collectionName":"splade","files":[["splade/docs.json"]]}}\' '
                "$URL/v2/vectordb/jobs/import/create   # a list of one path for each file",
                steps_for_queries("$URL/v2/vectordb/entities/search"),
            ],
            "scores": "ours, but for the order in which float32 numbers are added; exact with drop_ratio_search 0",
        }

    def document_entries(self, folder: Path, vocab_size: int) -> Iterator[Entry]:
        """The documents of ``docs.json``."""
        last = -1
        for path, line, text in self.layout.read(folder, "docs", ".json"):
            if text in (HEAD, FOOT):
                continue
            record = parse_line(path, line, text.removesuffix(","), ("id", "doc_id", "vector"))
            columns, weights = parsed(path, line, record["vector"], vocab_size)
            if type(record["id"]) is not int or record["id"] <= last or not columns:
                raise InputError.at(path, line, f"expected an id above {last}, and a vector that is not empty")
            last = record["id"]
            yield kept_entry(self, "document", record["doc_id"], columns, weights)


def collection_body() -> dict[str, Any]:
    """The body that makes the collection, by the interface of version 2."""
    fields: list[dict[str, Any]] = [{"fieldName": "id", "dataType": "Int64", "isPrimary": True}]
    fields += [{"fieldName": "doc_id", "dataType": "VarChar", "elementTypeParams": {"max_length": str(LONGEST)}}]
    fields += [{"fieldName": "vector", "dataType": "SparseFloatVector"}]
    params = {"index_type": "SPARSE_INVERTED_INDEX", "inverted_index_algo": "DAAT_MAXSCORE"}
    index = {"fieldName": "vector", "indexName": "vector", "metricType": "IP", "params": params}
    schema = {"autoId": False, "enableDynamicField": False, "fields": fields}
    return {"collectionName": "splade", "schema": schema, "indexParams": [index]}


def _rows(documents: Iterator[Numbered]) -> Iterator[str]:
    """The content of a file: one object, with a row on each line."""
    yield HEAD
    end = "\n"
    for number, vector in documents:
        yield f'{end}{{"id":{number},"doc_id":{json_line(vector.id)},"vector":{json_vector(vector)}}}'
        end = ",\n"
    yield f"\n{FOOT}\n"


def _check(batch: SparseBatch) -> None:
    refuse_long_ids(batch, LONGEST, "Milvus takes ids of")
