"""Lucene, PISA, Seismic and BMP keep the contract of an engine, exactly where weights are whole numbers."""

import os
import shutil
from importlib.util import find_spec

import numpy as np
import pytest
import scipy.sparse as sp

from splade.engines.conformance import check_engine, sample_for
from splade.engines.places.libraries import lucene
from splade.engines.places.libraries.bmp import LARGEST_SCORE, Bmp
from splade.engines.places.libraries.lucene import Lucene
from splade.engines.places.libraries.pisa import Pisa
from splade.engines.places.libraries.seismic import Seismic
from splade.engines.protocol import Documents, Queries
from splade.files import InputError
from splade.kernels.sparse import from_csr
from splade.records import SparseBatch

WHOLE = {"quantization_factor_document": 4}  # the weights of the sample are quarters
EXACT = {"query_cut": 1000, "heap_factor": 0.0}  # every list of a query, and no block skipped
FIND_JAR = "Anserini's jar or Java is missing: pip install --no-deps pyserini==0.25.0"


def has_lucene():
    jar = os.environ.get("ANSERINI_JAR") or find_spec("pyserini")
    return jar is not None and shutil.which("java") is not None


needs = {
    "seismic": pytest.mark.skipif(find_spec("seismic") is None, reason="pyseismic-lsr is not installed"),
    "bmp": pytest.mark.skipif(find_spec("bmp") is None, reason="bmp is not installed"),
    "pisa": pytest.mark.skipif(find_spec("pyterrier_pisa") is None, reason="pyterrier-pisa is not installed"),
    "lucene": pytest.mark.skipif(not has_lucene(), reason=FIND_JAR),
}


def of(name, *marks):
    return pytest.param(name, marks=[needs[name.split()[0]], *marks])


ENGINES = {
    "seismic": (lambda folder: Seismic(folder, **EXACT), {}),
    "bmp": (lambda folder: Bmp(folder, block_size=8, **WHOLE), {}),
    "bmp compressed, as given": (lambda f: Bmp(f, block_size=4, compress_range=True, order="given", **WHOLE), {}),
    "bmp rounded": (lambda folder: Bmp(folder, block_size=16), {"tolerance": 0.03}),
    "pisa": (lambda folder: Pisa(folder, **WHOLE), {}),
    "pisa block_max_wand": (lambda f: Pisa(f, algorithm="block_max_wand", encoding="block_optpfor", **WHOLE), {}),
    "pisa rounded": (lambda folder: Pisa(folder, quantization_factor_document=3), {"tolerance": 0.2}),
    "lucene": (lambda folder: Lucene(folder, **WHOLE), {}),
}


@pytest.mark.parametrize(
    "name",
    [
        of("seismic"),
        of("bmp"),
        of("bmp compressed, as given", pytest.mark.slow),
        of("bmp rounded", pytest.mark.slow),
        of("pisa", pytest.mark.engine),
        of("pisa block_max_wand", pytest.mark.engine),
        of("pisa rounded", pytest.mark.engine),
        of("lucene", pytest.mark.engine),
    ],
)
def test_a_library_keeps_the_contract(name, tmp_path):
    make, how = ENGINES[name]
    check_engine(make, tmp_path, **how)


def documents(matrix, key=0):
    batch = batch_of(matrix, "d")
    return Documents(lambda start: [] if start else [batch], batch.vocab_size, None, "encoder", {"key": key})


def batch_of(matrix, prefix):
    rows = sp.csr_matrix(matrix)
    ids = tuple(f"{prefix}{number}" for number in range(rows.shape[0]))
    return SparseBatch(ids, from_csr(rows.indptr, rows.indices, rows.data), rows.shape[1])


def whole_numbers(rng, shape, largest):
    return (rng.random(shape) < 0.3) * rng.integers(1, largest + 1, shape)


def expected(scores, k):
    order = np.lexsort((np.arange(len(scores)), -scores))[:k]
    return [(f"d{number}", scores[number]) for number in order if scores[number] > 0]


MAKE = {
    "bmp": lambda rng, folder: Bmp(
        folder,
        block_size=int(rng.choice([4, 32, 256])),
        compress_range=bool(rng.integers(2)),
        order=str(rng.choice(["given", "clustered"])),
    ),
    "pisa": lambda rng, folder: Pisa(folder, algorithm=str(rng.choice(["block_max_wand", "maxscore", "ranked_or"]))),
    "lucene": lambda rng, folder: Lucene(folder),
}


@pytest.mark.parametrize(("name", "times"), [
    pytest.param("bmp", 6, marks=needs["bmp"]),
    pytest.param("bmp", 60, marks=[needs["bmp"], pytest.mark.slow]),
    pytest.param("pisa", 20, marks=[needs["pisa"], pytest.mark.engine]),
    pytest.param("lucene", 1, marks=[needs["lucene"], pytest.mark.engine]),
])  # fmt: skip
def test_whole_numbers_are_ranked_as_brute_force_ranks_them(name, times, tmp_path):
    rng = np.random.default_rng(1)
    for time in range(times):
        matrix = whole_numbers(rng, (int(rng.integers(1, 700)), 30), int(rng.choice([2, 60, 255])))
        asked = whole_numbers(rng, (4, 30), int(rng.choice([1, 20])))
        opened = MAKE[name](rng, tmp_path).build(documents(matrix, time))
        for k in (1, 10, 99, 1000):
            for query, ranking in zip(asked, opened.search(Queries(batch_of(asked, "q")), k), strict=True):
                found = list(zip(ranking.doc_ids, ranking.scores.tolist(), strict=True))
                assert found == expected(matrix @ query, k), (name, time, k)


@needs["bmp"]
def test_a_library_s_index_is_listed_and_dropped_with_all_its_files(tmp_path):
    engine = Bmp(tmp_path)
    opened = engine.build(sample_for("sparse").as_documents())
    assert engine.places() == [opened.state.place]
    engine.drop()
    assert (engine.places(), engine.exists()) == ([], False)
    assert not (tmp_path / "bmp" / opened.state.place).exists()


@pytest.mark.parametrize(
    "name", [of("seismic"), of("bmp"), of("pisa", pytest.mark.engine), of("lucene", pytest.mark.engine)]
)
@pytest.mark.parametrize("documents_given", [[], [[0.0, 0.0]], [[0.0001, 0.0]]], ids=["none", "an empty one", "tiny"])
def test_where_nothing_matches_nothing_is_found(name, documents_given, tmp_path):
    if documents_given == [[0.0001, 0.0]] and name != "seismic":
        kind = {"bmp": Bmp, "pisa": Pisa, "lucene": Lucene}[name]
        engine = kind(tmp_path, quantization_factor_document=100)  # the posting becomes 0
    else:
        engine = ENGINES[name][0](tmp_path)
    batch = batch_of(np.array(documents_given).reshape(-1, 2), "d")
    opened = engine.build(Documents(lambda start: [batch] if not start and batch.ids else [], 2, None, "", {}))
    (ranking,) = opened.search(Queries(batch_of(np.array([[0.0, 1.0]]), "q")), 5)
    assert list(ranking.doc_ids) == []
    assert opened.facts()["index"]["n_docs"] == len(documents_given)


@needs["bmp"]
def test_a_sum_that_two_bytes_cannot_hold_is_approached_and_does_not_begin_again(tmp_path):
    matrix = np.full((3, 40), 255.0)
    matrix[1] -= 100
    matrix[2, 20:] = 0
    asked = np.full((1, 40), 30.0)
    assert (matrix @ asked[0]).max() > LARGEST_SCORE
    opened = Bmp(tmp_path, block_size=4, order="given").build(documents(matrix))
    (ranking,) = opened.search(Queries(batch_of(asked, "q")), 3)
    assert list(ranking.doc_ids) == ["d0", "d1", "d2"]
    assert ranking.scores == pytest.approx((matrix @ asked[0]).tolist(), rel=0.03)


@needs["bmp"]
def test_queries_of_more_terms_than_two_bytes_can_add_up_lose_their_lightest(tmp_path):
    matrix = np.full((2, 400), 255.0)
    asked = np.linspace(1, 2, 400)[None]
    opened = Bmp(tmp_path, order="given").build(documents(matrix))
    (ranking,) = opened.search(Queries(batch_of(asked, "q")), 2)
    assert list(ranking.doc_ids) == ["d0", "d1"]


@needs["bmp"]
def test_what_rounding_loses_is_told_in_words_and_numbers(tmp_path):
    matrix = np.array([[0.004, 2.55], [0.0, 1.005]])
    facts = Bmp(tmp_path).build(documents(matrix)).facts()
    assert facts["quantization"].startswith("document weights times 100, rounded")
    assert "1 of 3 postings became 0" in facts["quantization"]
    exact = Bmp(tmp_path, quantization_factor_document=100).build(documents(np.array([[2.0, 1.0]]))).facts()
    assert "nothing is lost" in exact["quantization"]
    assert (facts["weight_error"] > 0, exact["weight_error"]) == (True, 0)


@needs["bmp"]
def test_a_factor_that_makes_impacts_too_large_is_refused_at_the_first_batch(tmp_path):
    with pytest.raises(InputError, match=r"document=200: the weight 2 becomes 400.*Set at most 127"):
        Bmp(tmp_path, quantization_factor_document=200).build(documents(np.array([[2.0, 1.0]])))


@needs["seismic"]
def test_seismic_says_that_it_is_approximate_and_keeps_weights_to_half_a_thousandth(tmp_path):
    rng = np.random.default_rng(0)
    matrix = (rng.random((300, 50)) < 0.3) * rng.random((300, 50))
    opened = Seismic(tmp_path, **EXACT).build(documents(matrix))
    (ranking,) = opened.search(Queries(batch_of(np.ones((1, 50)), "q")), 300)
    exact = dict(expected(matrix.sum(1), 300))
    assert dict(zip(ranking.doc_ids, ranking.scores.tolist(), strict=True)) == pytest.approx(exact, rel=5e-4)
    assert opened.facts()["strategy"] == "approximate"
    assert "16-bit" in opened.facts()["quantization"]


@needs["seismic"]
@pytest.mark.parametrize("width", [300, pytest.param(70_000, marks=pytest.mark.slow)])
def test_terms_beyond_those_of_the_documents_match_nothing(width, tmp_path):
    matrix = sp.csr_matrix(([1.0, 2.0], ([0, 1], [3, width - 2])), shape=(2, width))
    asked = sp.csr_matrix(([1.0, 1.0, 1.0], ([0, 0, 1], [width - 1, 3, width - 1])), shape=(2, width))
    opened = Seismic(tmp_path, **EXACT).build(documents(matrix))
    first, second = opened.search(Queries(batch_of(asked, "q")), 5)
    assert (list(first.doc_ids), list(second.doc_ids)) == (["d0"], [])


@pytest.mark.parametrize(("engine", "settings", "told"), [
    (Seismic, {"query_cut": 0}, "query_cut=0"),
    (Seismic, {"summary_energy": 1.5}, "summary_energy"),
    (Bmp, {"block_size": 257}, "at most 256"),
    (Bmp, {"order": "random"}, "clustered, given"),
    (Bmp, {"alpha": 0}, "alpha=0"),
    (Pisa, {"algorithm": "ranked_or_taat"}, "block_max_wand"),
    (Pisa, {"encoding": "none"}, "block_simdbp"),
    (Lucene, {"threads": 0}, "threads=0"),
    (Lucene, {"quantization_factor_document": float("inf")}, "quantization_factor_document"),
])  # fmt: skip
def test_settings_out_of_range_are_refused_before_anything_is_read(engine, settings, told, tmp_path):
    with pytest.raises(ValueError, match=told):
        engine(tmp_path, **settings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("engine", "hidden", "told"), [
    (Seismic, "seismic", r"pip install 'splade\[seismic\]'"),
    (Bmp, "bmp", r"pip install 'splade\[bmp\]'"),
    (Pisa, "pyterrier_pisa", "pip install --no-deps pyterrier-pisa"),
    (Lucene, "pyserini", "pip install --no-deps pyserini"),
])  # fmt: skip
def test_a_missing_library_is_named_before_a_document_is_read(engine, hidden, told, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, hidden, None)
    monkeypatch.delitem(__import__("sys").modules, "_pisathon", raising=False)
    monkeypatch.delenv("ANSERINI_JAR", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    read = []
    with pytest.raises(InputError, match=told):
        engine(tmp_path).build(sample_for("sparse").as_documents(read=read.append))
    assert read == []


def test_the_jar_is_that_of_the_environment_or_of_pyserini():
    assert lucene.jar({"ANSERINI_JAR": "here.jar"}) == "here.jar"


def test_a_missing_jar_or_java_is_named(tmp_path):
    with pytest.raises(InputError, match="no-such-java"):
        Lucene(tmp_path, java="no-such-java").build(sample_for("sparse").as_documents())
    program = tmp_path / "java"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    with pytest.raises(InputError, match=r"no jar at .*no\.jar"):
        Lucene(tmp_path, java=str(program), jar=tmp_path / "no.jar").build(sample_for("sparse").as_documents())


@needs["lucene"]
@pytest.mark.engine
def test_java_that_ends_is_told_with_its_last_words(tmp_path):
    opened = Lucene(tmp_path).build(sample_for("sparse").as_documents())
    shutil.rmtree(tmp_path / "lucene" / opened.state.place / "index" / "lucene")
    with pytest.raises(InputError, match=r"Java ended: .*xception"):
        list(opened.search(sample_for("sparse").as_queries(), 3))
