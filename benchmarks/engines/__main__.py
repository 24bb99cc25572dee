"""The same real vectors in every engine that is there: effectiveness, recall of the exact results, bytes and time.

    python -m benchmarks.engines --data ../shared/data --model MODEL --out experiments/engines

Engines are those of `splade.engines.OWN` that take sparse vectors; one whose library or server is missing is left out,
with the reason. Vectors and indexes are kept, so an interrupted run continues; times are taken anew.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from benchmarks.engines.report import Row, table
from splade.encoding import Encoder
from splade.engines import OWN, Documents, Engine, Opened, Queries
from splade.engines.protocol import slice_of
from splade.evaluation.metrics import evaluate
from splade.files import InputError, read_json, whole_file, write_json
from splade.kernels.sparse import from_csr
from splade.models import load_retriever
from splade.records import Qrels, Ranking, Run, SparseBatch, Text
from splade.suites import parts_of, sets_of

SETS, SPLIT = ("scifact", "cacm"), "test"
KS, ROUNDS, BATCH, FEW = (10, 1000), 3, 1024, 64
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "inverted": {"inverted": {}, "inverted, approximate": {"strategy": "approximate"}},
    "pisa": {"pisa": {}, "pisa, block_max_wand": {"algorithm": "block_max_wand"}},
    "seismic": {"seismic": {}, "seismic, whole queries": {"query_cut": 1000, "heap_factor": 0.7}},
    "bmp": {"bmp": {}, "bmp, alpha 0.85": {"alpha": 0.85}, "bmp, as given": {"order": "given"}},
}
"""Settings of an engine beside its defaults, by the name of the row."""
REBUILT = ("bmp, as given",)
"""Rows whose settings make another index than the engine's defaults do."""


class Set(NamedTuple):
    """A set of documents and queries as vectors of one model."""

    name: str
    documents: SparseBatch
    queries: SparseBatch
    qrels: Qrels


def main() -> None:
    """Build, search and report every engine on every set."""
    asked = _arguments()
    told: dict[str, Any] = {}
    for name in asked.sets:
        one = vectors_of(asked, name)
        rows, missing = measured(asked, one)
        told[name] = {"n_docs": len(one.documents.ids), "n_queries": len(one.queries.ids), "missing": missing}
        told[name] |= {"L0_d": _terms(one.documents), "L0_q": _terms(one.queries), "rows": [r._asdict() for r in rows]}
        print(f"\n## {name}: {len(one.documents.ids)} documents, {len(one.queries.ids)} queries\n\n{table(rows)}")
        for engine, reason in missing.items():
            print(f"\n{engine} is left out: {reason}")
    write_json(asked.out / "engines.json", told)


def vectors_of(asked: argparse.Namespace, name: str) -> Set:
    """The vectors of a set, encoded unless they were."""
    parts = parts_of(sets_of(name, SPLIT)[0], str(asked.data), alone=False)
    queries = [text for text in parts.queries if text.id in parts.qrels]
    folder = asked.out / "vectors" / name
    made = [
        _kept(folder / f"{side}.npz", asked, side, texts)
        for side, texts in (("document", parts.documents), ("query", queries))
    ]
    return Set(name, *made, parts.qrels)


def _kept(path: Path, asked: argparse.Namespace, side: str, texts: Any) -> SparseBatch:
    """The vectors in a file, which is made of ``texts`` where it is not there."""
    if not path.is_file():
        texts = list(texts)
        encoder = Encoder(load_retriever(asked.model), side, max_length=asked.length)
        batch = encoder.encode_all(Text(text.id, text.text) for text in texts)
        rows = batch.rows
        matrix = {"indptr": rows.offsets, "indices": rows.columns, "data": rows.weights}
        with whole_file(path, "wb") as stream:
            np.savez(stream, ids=np.array(batch.ids), width=batch.vocab_size, **matrix)
    with np.load(path) as arrays:
        width = int(arrays["width"])
        rows = from_csr(arrays["indptr"], arrays["indices"], arrays["data"], width)
        return SparseBatch(tuple(map(str, arrays["ids"])), rows, width)


def measured(asked: argparse.Namespace, one: Set) -> tuple[list[Row], dict[str, str]]:
    """A row for each engine and variant, and the reasons of those that are missing."""
    opened: dict[str, Opened] = {}
    seconds: dict[str, float] = {}
    missing: dict[str, str] = {}
    for name in asked.engines or [name for name, make in OWN.items() if make(None).takes == "sparse"]:
        for row, settings in VARIANTS.get(name, {name: {}}).items():
            folder = (
                asked.out
                / "indexes"
                / one.name
                / (row.replace(", ", "-").replace(" ", "-") if row in REBUILT else name)
            )
            try:
                opened[row] = built(OWN[name], settings, folder, one)
                seconds[row] = read_json(folder / "seconds.json")
            except (InputError, KeyError) as error:
                missing[row] = str(error)
    exact = one.queries.rows, one.documents.rows
    best = exact_best(*exact, one.documents.vocab_size, max(KS))
    times, runs = searched(opened, one, asked.rounds)
    rows = []
    for row, engine in opened.items():
        run: Run = {r.query_id: dict(zip(r.doc_ids, map(float, r.scores), strict=True)) for r in runs[row]}
        facts = engine.facts()
        rows.append(
            Row(
                row,
                ndcg_10=evaluate(run, one.qrels, ["ndcg_cut_10"])["ndcg_cut_10"],
                of_exact={k: of_exact(runs[row], best, one.documents.ids, k) for k in (100, 1000)},
                recall={k: evaluate(run, one.qrels, [f"recall_{k}"])[f"recall_{k}"] for k in (100, 1000)},
                megabytes=float(facts["index"].get("index_bytes", 0)) / 1e6,
                build_seconds=seconds[row],
                milliseconds={k: times[row, k] for k in KS},
                quantization=str(facts.get("quantization", "")),
            )
        )
    return rows, missing


def built(make: Any, settings: dict[str, Any], folder: Path, one: Set) -> Opened:
    """The engine with all documents, after a few have been built to load and compile what it needs."""
    engine: Engine = make(folder, **settings)
    few = slice_of(one.documents, 0, FEW)
    if not engine.exists():
        make(folder / "few", **settings).build(_documents(few, "few"))
        start = time.perf_counter()
        engine.build(_documents(one.documents, one.name))
        write_json(folder / "seconds.json", time.perf_counter() - start)
    return engine.open()


def _documents(batch: SparseBatch, name: str) -> Documents:
    def batches(start: int) -> Iterator[SparseBatch]:
        for first in range(start, len(batch.ids), BATCH):
            yield slice_of(batch, first, first + BATCH)

    return Documents(batches, batch.vocab_size, None, "benchmark", {"set": name})


def searched(
    opened: dict[str, Opened], one: Set, rounds: int
) -> tuple[dict[tuple[str, int], float], dict[str, list[Ranking]]]:
    """Milliseconds of a query, by row and k: the median over rounds of the mean; and the rankings of the largest k.

    In each round the engines take turns, on one thread; a round before them is not counted.
    """
    queries, taken, runs = Queries(one.queries), {}, {}  # type: ignore[var-annotated]
    for turn in range(rounds + 1):
        for row, engine in opened.items():
            for k in KS:
                seconds: list[float] = []
                runs[row] = list(engine.search(queries, k, n_threads=1, seconds=seconds))
                if turn:
                    taken.setdefault((row, k), []).append(1000 * statistics.mean(seconds))
    return {key: statistics.median(values) for key, values in taken.items()}, runs


def exact_best(queries: Any, documents: Any, width: int, k: int) -> list[NDArray[np.int64]]:
    """The numbers of the best documents of each query by brute force in double precision, ties by number."""
    asked, held = (
        sp.csr_matrix((rows.weights.astype(np.float64), rows.columns, rows.offsets), (len(rows.offsets) - 1, width))
        for rows in (queries, documents)
    )
    best = []
    for row in range(asked.shape[0]):
        scores = (held @ asked[row].T).toarray().ravel()
        order = np.lexsort((np.arange(len(scores)), -scores))[:k]
        best.append(order[scores[order] > 0])
    return best


def of_exact(run: list[Ranking], best: list[NDArray[np.int64]], ids: tuple[str, ...], k: int) -> float:
    """The share of the exact best ``k`` that a run has among its first ``k``, averaged over queries."""
    shares = []
    for ranking, exact in zip(run, best, strict=True):
        wanted = {ids[int(number)] for number in exact[:k]}
        shares.append(len(wanted & set(ranking.doc_ids[:k])) / max(len(wanted), 1))
    return float(np.mean(shares))


def _terms(batch: SparseBatch) -> float:
    return float(np.diff(batch.rows.offsets).mean())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description="Compare engines on one model.")
    parser.add_argument("--data", type=Path, required=True, help="folder of sets in BEIR's layout")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--out", type=Path, default=Path("experiments/engines"))
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--engines", nargs="+", help="names of engines (default: all that take sparse vectors)")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--length", type=int, default=64, help="tokens that are read of documents and of queries")
    return parser.parse_args()


if __name__ == "__main__":
    main()
