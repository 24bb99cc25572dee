"""Contracts of what makes vectors and finds documents: models and search strategies."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from splade.indexing import Index, IndexAppender, IndexBuilder, InvertedIndex, delete
from splade.kernels.sparse import slice_rows, to_dense
from splade.models import Retriever, load_retriever, save_retriever
from splade.records import SIDES, SparseBatch, SparseRows
from splade.search import Searcher

TEXTS = ("a bridge over the river", "honey", "the heat of the sun is the heat of the day")
DOCUMENTS, TERMS, QUERIES, SEED = 300, 40, 12, 0


def check_model(model: Retriever, texts: tuple[str, ...] = TEXTS) -> None:
    """AssertionError unless ``model`` gives each text one vector, the same alone, in a batch and loaded again.

    The weights of sparse vectors are ≥ 0.
    """
    name = type(model).__name__
    assert isinstance(model, Retriever), f"{name} is no splade.models.Retriever: derive it from a kind"
    model.eval()
    vectors = {side: _vectors(model, side, texts) for side in SIDES}
    for side, found in vectors.items():
        what = f"{name}: {side} vectors"
        assert found.shape == (len(texts), model.vocab_size), f"{what} have shape {tuple(found.shape)}, not [B, V]"
        assert found.dtype == torch.float32, f"{what} are {found.dtype}, not torch.float32"
        assert bool(torch.isfinite(found).all()), f"{what} are not all finite"
        assert not model.is_sparse or bool((found >= 0).all()), f"{what} have weights below 0"
        again = torch.cat([_vectors(model, side, (text,)) for text in texts])
        _check_equal(again, found, f"{what} depend on the other texts of the batch (is padding left out?)")
        rows = model.rows(side, *_tokens(model, side, texts))
        dense = torch.from_numpy(to_dense(rows, model.vocab_size))
        _check_equal(dense, found, f"{name}.rows gives other {side} vectors than a call")
    with tempfile.TemporaryDirectory() as folder:
        save_retriever(model, Path(folder) / "model")
        loaded = load_retriever(Path(folder) / "model")
        assert type(loaded) is type(model), f"{name} is loaded as a {type(loaded).__name__}"
        for side, found in vectors.items():
            again = _vectors(loaded, side, texts)
            _check_equal(
                again, found, f"{name} gives other {side} vectors once saved and loaded; what does settings() lack?"
            )


def check_strategy(strategy: str | type, at_least: float = 1.0, **options: Any) -> None:
    """AssertionError unless ``strategy`` finds the share ``at_least`` of the best documents, with their scores.

    ``strategy`` is a class or its dotted path, ``options`` are its own. It is compared with the plain one on an index
    of vectors with ties, whole and in two parts, with empty queries, a filter and a threshold.
    """
    path = strategy if isinstance(strategy, str) else f"{strategy.__module__}.{strategy.__qualname__}"
    documents, queries = _batch(DOCUMENTS, "d", SEED), _batch(QUERIES, "q", SEED + 1)
    allowed = np.arange(DOCUMENTS) % 3 > 0
    ways: list[dict[str, Any]] = [{}, {"threshold": 2.0}, {"allowed": allowed}, {"n_threads": 2}]
    with tempfile.TemporaryDirectory() as folder:
        for index in (InvertedIndex.from_csr(documents), _in_parts(documents, Path(folder) / "index")):
            for how in ways:
                for k in (1, 10, DOCUMENTS + 5):
                    _compare(index, path, options, queries, k, at_least, how)


def _in_parts(documents: SparseBatch, folder: Path) -> Index:
    """Index the documents in two parts, of which the first has lost a document."""
    half = DOCUMENTS // 2
    first, later = (
        SparseBatch(documents.ids[start:end], slice_rows(documents.rows, start, end), TERMS)
        for start, end in ((0, half), (half, DOCUMENTS))
    )
    builder = IndexBuilder(folder, TERMS)
    builder.add(first)
    builder.finish()
    appender = IndexAppender(folder)
    appender.add(later)
    appender.finish()
    delete(folder, [documents.ids[3]])
    return InvertedIndex.open(folder)


def _compare(
    index: Index, path: str, options: dict[str, Any], queries: SparseBatch, k: int, at_least: float, how: dict[str, Any]
) -> None:
    what = f"strategy {path} with k={k}" + "".join(f", {name}" for name in how)
    expected = list(Searcher(index, "reference").search(queries, k, **how))
    found = list(Searcher(index, path, **options).search(queries, k, **how))
    shares = []
    for wanted, given in zip(expected, found, strict=True):
        scores = dict(zip(wanted.doc_ids, wanted.scores.tolist(), strict=True))
        known = [id for id in given.doc_ids if id in scores]
        shares.append(len(known) / len(scores) if scores else 1.0)
        assert scores or not len(given.doc_ids), f"{what}: {given.query_id} must find nothing, got {given.doc_ids}"
        assert len(set(given.doc_ids)) == len(given.doc_ids), f"{what}: {given.query_id} finds a document twice"
        if at_least == 1.0:
            assert list(given.doc_ids) == list(wanted.doc_ids), (
                f"{what}: {given.query_id} finds {list(given.doc_ids)[:5]}…, expected {list(wanted.doc_ids)[:5]}… "
                "(higher scores first; of equal ones the smaller document number)"
            )
        for id, score in zip(given.doc_ids, given.scores.tolist(), strict=True):
            if id in scores:
                assert abs(score - scores[id]) <= 1e-4, f"{what}: {id} has score {score}, expected {scores[id]}"
    assert np.mean(shares) >= at_least, f"{what}: finds {np.mean(shares):.3f} of the best documents, not {at_least}"


def _batch(n_texts: int, prefix: str, seed: int) -> SparseBatch:
    """Vectors of small whole numbers, whose sums are exact in any order and often tie; the last is empty."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 4, (n_texts, TERMS)) * (rng.random((n_texts, TERMS)) < 0.15)
    weights[-1] = 0
    rows, columns = np.nonzero(weights)
    offsets = np.searchsorted(rows, np.arange(n_texts + 1))
    values = weights[rows, columns].astype(np.float32)
    ids = tuple(f"{prefix}{number}" for number in range(n_texts))
    return SparseBatch(ids, SparseRows(offsets.astype(np.int64), columns.astype(np.int32), values), TERMS)


def _tokens(model: Retriever, side: str, texts: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    encoded = model.tokenizer(side)(
        [model.prompt(side) + text for text in texts], padding=True, truncation=True,
        max_length=model.max_length(side), return_tensors="pt",
    )  # fmt: skip
    return encoded["input_ids"], encoded["attention_mask"]


@torch.no_grad()
def _vectors(model: Retriever, side: str, texts: tuple[str, ...]) -> Tensor:
    return model(side, *_tokens(model, side, texts)).clone()


def _check_equal(found: Tensor, expected: Tensor, what: str) -> None:
    far = float((found - expected).abs().max()) if found.shape == expected.shape else float("inf")
    assert far <= 1e-4 * (1 + float(expected.abs().max())), f"{what} (differ by {far:g})"
