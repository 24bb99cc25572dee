"""Files for Vespa: an application, a feed, and searches.

Vespa searches weighted sets of whole numbers, and computes with tensors of floats. Documents have both: the operator
``wand`` finds the best by impacts, and the mapped tensor scores these exactly.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.exporting.anserini import rounded
from splade.exporting.lines import Layout, json_line, parse_line
from splade.exporting.servers.vector_lines import (
    Count,
    Numbered,
    ServerFiles,
    json_vector,
    kept_entry,
    parsed,
    steps_for_queries,
)
from splade.exporting.target import Documents, Observed, Written
from splade.exporting.vectors import Entry, Vector
from splade.files import InputError, make_folder, whole_file

LARGEST = 2**31 - 1  # of an impact
CELL = re.compile(r"\{t:(\d+)\}:([^,}]+)")
SCHEMA = """\
schema splade {
    document splade {
        field doc_id type string {
            indexing: attribute | summary
        }
        field impacts type weightedset<int> { # whole numbers by term id: what wand searches
            indexing: attribute
            attribute: fast-search
        }
        field vector type tensor<float>(t{}) { # weights by term id: what scores are made of
            indexing: attribute
            attribute: fast-rank
        }
    }
    rank-profile exact {
        inputs {
            query(q) tensor<float>(t{})
        }
        first-phase {
            expression: sum(query(q) * attribute(vector))
        }
    }
    rank-profile impacts {
        first-phase {
            expression: rawScore(impacts)
        }
    }
}
"""
SERVICES = """\
<?xml version="1.0" encoding="utf-8" ?>
<services version="1.0">
  <container id="default" version="1.0">
    <search/>
    <document-api/>
  </container>
  <content id="splade" version="1.0">
    <min-redundancy>1</min-redundancy>
    <documents>
      <document type="splade" mode="index"/>
    </documents>
  </content>
</services>
"""
PROFILE = """\
<query-profile id="default">
  <field name="maxHits">{hits}</field>
</query-profile>
"""


class Vespa(ServerFiles):
    """The `FileTarget` of ``application/``, ``feed.jsonl`` and ``queries.jsonl``.

    Impacts are whole numbers nearest to weight times factor, without zeros; they choose the ``hits`` documents that are
    scored, by tensors of float32. A document without terms has its id alone. ``shard_docs`` and ``gzip`` as in
    `splade.exporting.lines.Layout`.
    """

    def __init__(
        self,
        quantization_factor_document: float = 100,
        quantization_factor_query: float = 100,
        hits: int = 1000,
        shard_docs: int | None = None,
        gzip: bool = False,
    ) -> None:
        factors = {"document": quantization_factor_document, "query": quantization_factor_query}
        for side, factor in factors.items():
            if isinstance(factor, bool) or not isinstance(factor, int | float) or not factor > 0:
                raise InputError(f"export.quantization_factor_{side}={factor!r}: expected a number above 0")
        if isinstance(hits, bool) or hits < 1:
            raise InputError(f"export.hits={hits}: expected at least 1")
        self.factors, self.hits, self.layout = factors, hits, Layout(shard_docs, gzip).checked()

    def prepare(self, observed: Observed) -> None:
        """Refuse weights whose impact is no 32-bit number."""
        if observed.largest * self.factors["document"] > LARGEST:
            raise InputError(
                f"export.quantization_factor_document={self.factors['document']:g}: the largest weight, "
                f"{observed.largest:g}, times it is more than Vespa's {LARGEST}. Take a smaller factor"
            )

    def write_documents(
        self,
        folder: Path,
        documents: Documents,
        words: Sequence[str],  # noqa: ARG002
    ) -> Written:
        """Write ``application/`` and ``feed.jsonl`` into ``folder``."""
        coming = Count(documents)
        n_texts = self.layout.write(folder, "feed", ".jsonl", coming, self._lines, self.resuming)
        self._write_application(folder / "application")
        return Written(n_texts, coming.n_empty)

    def search(self, vector: Vector) -> tuple[dict[str, Any], float]:
        """The body of a search: ``wand`` over impacts, and the tensor that scores are made with."""
        terms = ",".join(f"{term}:{impact}" for term, impact in self._impacts("query", vector).items())
        pairs = zip(vector.columns.tolist(), vector.weights.tolist(), strict=True)
        cells = ",".join(f"{{t:{term}}}:{weight:.9g}" for term, weight in pairs)
        where = f"{{targetHits: {self.hits}}}wand(impacts, @terms)"
        body = {"yql": f"select doc_id from splade where {where}", "hits": self.hits, "ranking": "exact"}
        return body | {"terms": f"{{{terms}}}", "input.query(q)": f"{{{cells}}}"}, 1.0

    def query_entry(self, path: Path, line: int, query_id: str, body: Any, scale: float, vocab_size: int) -> Entry:  # noqa: ARG002
        """The query of a line; InputError for impacts that are not those of the weights."""
        cells = [] if body is None else CELL.findall(body["input.query(q)"])
        found = {term: float(weight) for term, weight in cells}
        terms = "{}" if body is None else body["terms"]
        impacts = dict(pair.split(":") for pair in terms[1:-1].split(",") if pair)
        return self._entry("query", path, line, query_id, found, impacts, vocab_size)

    def about(self) -> dict[str, Any]:
        """Describe the files for the manifest."""
        document, query = self.factors["document"], self.factors["query"]
        cat, end = ("zcat", ".jsonl.gz") if self.layout.gzip else ("cat", ".jsonl")
        return {
            "quantization": f"none in scores: float32; the {self.hits} documents that are scored are chosen by "
            f"impacts, rint(weight x factor), factors {document:g} for documents and {query:g} for queries",
            "load": [
                "vespa deploy application",
                f"{cat} feed*{end} | vespa feed -",
                steps_for_queries("$URL/search/"),
            ],
            "scores": "ours, but for the order in which numbers are added, of the documents that impacts choose",
        }

    def _write_application(self, folder: Path) -> None:
        profile = PROFILE.format(hits=self.hits)
        files = {"schemas/splade.sd": SCHEMA, "services.xml": SERVICES, "search/query-profiles/default.xml": profile}
        for name, content in files.items():
            make_folder((folder / name).parent)
            with whole_file(folder / name) as stream:
                stream.write(content)

    def _lines(self, document: Numbered) -> Iterator[str]:
        fields = f'"doc_id":{json_line(document.vector.id)}'
        if len(document.vector.columns):
            impacts = json_line(
                {str(term): impact for term, impact in self._impacts("document", document.vector).items()}
            )
            fields += f',"impacts":{impacts},"vector":{{"cells":{json_vector(document.vector)}}}'
        yield f'{{"put":"id:splade:splade::{document.number}","fields":{{{fields}}}}}'

    def _impacts(self, side: str, vector: Vector) -> dict[int, int]:
        found = self._rounded(side, vector.weights)
        return {term: impact for term, impact in zip(vector.columns.tolist(), found, strict=True) if impact}

    def _rounded(self, side: str, weights: NDArray[np.float32]) -> list[int]:
        return np.minimum(rounded(weights, self.factors[side]), LARGEST).tolist()

    def document_entries(self, folder: Path, vocab_size: int) -> Iterator[Entry]:
        """The documents of ``feed.jsonl``; InputError for impacts that are not those of the weights."""
        for number, (path, line, text) in enumerate(self.layout.read(folder, "feed", ".jsonl")):
            record = parse_line(path, line, text, ("put", "fields"))
            if record["put"] != f"id:splade:splade::{number}":
                raise InputError.at(path, line, f"expected document {number}, found {record['put']!r}")
            fields = record["fields"]
            found, impacts = fields.get("vector", {"cells": {}})["cells"], fields.get("impacts", {})
            yield self._entry("document", path, line, fields["doc_id"], found, impacts, vocab_size)

    def _entry(
        self, side: str, path: Path, line: int, text_id: str, found: Any, impacts: dict[str, Any], vocab_size: int
    ) -> Entry:
        columns, weights = parsed(path, line, found, vocab_size)
        pairs = zip(columns, self._rounded(side, weights), strict=True)
        if {str(term): impact for term, impact in pairs if impact} != {term: int(n) for term, n in impacts.items()}:
            raise InputError.at(path, line, "the impacts are not those of the weights")
        return kept_entry(self, side, text_id, columns, weights)
