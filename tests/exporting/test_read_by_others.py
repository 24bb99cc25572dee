"""Files read back by the systems they are for, with scores equal to brute force.

Each test says by its reason what it lacks. ``CIFF_TOOLKIT_PYTHON`` and ``PISA_PYTHON`` name the Python of an
environment that has ciff-toolkit (which needs protobuf < 5), and pyterrier-pisa with numpy.
"""

import json
import os
import subprocess

import numpy as np
import pytest

from splade.exporting.postings.bmp import Bmp
from splade.exporting.postings.ciff import Ciff
from splade.exporting.postings.pisa import Pisa
from splade.exporting.seismic import Seismic
from tests.exporting.vectors import batch_of, written

pytestmark = pytest.mark.engine
N_TERMS, K = 40, 50
WORDS = [f"t{term:02}" for term in range(N_TERMS)]
DOC_IDS = [f"d {row}ü" for row in range(600)]


def python_of(variable, needs):
    """The Python that an environment variable names; the test is skipped where it is not set."""
    found = os.environ.get(variable)
    if not found:
        pytest.skip(f"{variable} is not set: it names the Python of an environment with {needs}")
    return found


def run(python, code, *arguments):
    """What a program prints in another environment."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", code, *map(str, arguments)], capture_output=True, text=True, env=own, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def matrices():
    """Documents [600, 40] and queries [20, 40] of real weights; some documents are empty."""
    rng = np.random.default_rng(3)
    found = []
    for n, share in ((600, 0.15), (20, 0.2)):
        dense = (rng.gamma(2, 0.4, (n, N_TERMS)) * (rng.random((n, N_TERMS)) < share)).astype(np.float32)
        dense[:, 7] = 0 if n == 600 else dense[:, 7]  # a term of queries that no document has
        found.append(dense)
    found[0][[0, 17, 599]] = 0
    return found


def scores(found, asked):
    """Scores of what a target keeps: [queries, documents]."""
    return np.stack(list(asked.values())).astype(np.float64) @ np.stack([found[name] for name in DOC_IDS]).T


def check_ranking(ids, given, expected, factor, k):
    """A ranking has the best scores, in order, times ``factor``, of the right documents."""
    best = np.sort(expected[expected > 0])[::-1][:k]
    np.testing.assert_allclose(np.array(given) / factor, best, rtol=1e-6)
    own = np.array([expected[DOC_IDS.index(doc_id)] for doc_id in ids])
    np.testing.assert_allclose(own, best, rtol=1e-6)
    assert len(set(ids)) == len(ids)


TOOLKIT = """
import sys
from ciff_toolkit.read import CiffReader
from ciff_toolkit.write import CiffWriter
import json
with CiffReader(sys.argv[1]) as reader, CiffWriter(sys.argv[2]) as writer:
    header = reader.read_header()
    writer.write_header(header)
    lists = []
    def kept():
        for one in reader.read_postings_lists():
            lists.append([one.term, one.df, one.cf, [[posting.docid, posting.tf] for posting in one.postings]])
            yield one
    writer.write_postings_lists(kept())
    records = []
    def documents():
        for one in reader.read_documents():
            records.append([one.docid, one.collection_docid, one.doclength])
            yield one
    writer.write_documents(documents())
told = [header.version, header.num_postings_lists, header.num_docs, header.total_postings_lists, header.total_docs,
        header.total_terms_in_collection, header.average_doclength]
print(json.dumps([told, lists, records]))
"""


@pytest.mark.parametrize("name", ["docs.ciff", "docs.ciff.gz"])
def test_ciff_toolkit_reads_what_was_written_and_writes_the_same_bytes(tmp_path, matrices, name):
    python = python_of("CIFF_TOOLKIT_PYTHON", "ciff-toolkit")
    documents, queries = matrices
    written(Ciff(gzip=name.endswith(".gz")), tmp_path, batch_of(documents, ids=DOC_IDS), batch_of(queries, "q"), WORDS)
    header, lists, records = json.loads(run(python, TOOLKIT, tmp_path / name, tmp_path / "again.ciff"))
    whole = np.rint(documents.astype(np.float64) * 100).astype(int)
    n_lists = int((whole > 0).any(0).sum())
    assert header == [1, n_lists, 600, n_lists, 600, int(whole.sum()), whole.sum() / 600]
    read = np.zeros_like(whole)
    for term, df, cf, postings in lists:
        docs = np.cumsum([gap for gap, _ in postings])
        read[docs, WORDS.index(term)] = [impact for _, impact in postings]
        assert (df, cf) == (len(postings), sum(impact for _, impact in postings))
    np.testing.assert_array_equal(read, whole)
    assert records == [[row, doc_id, int(whole[row].sum())] for row, doc_id in enumerate(DOC_IDS)]
    if not name.endswith(".gz"):
        assert (tmp_path / "again.ciff").read_bytes() == (tmp_path / name).read_bytes()


CONVERTED = """
import sys
from pathlib import Path
from ciff_toolkit.read import CiffReader
folder = Path(sys.argv[2])
def sequence(numbers):
    return b"".join(number.to_bytes(4, "little") for number in (len(numbers), *numbers))
with CiffReader(sys.argv[1]) as reader:
    docs, freqs, terms = [sequence([reader.read_header().num_docs])], [], []
    for one in reader.read_postings_lists():
        numbers, at = [], 0
        for posting in one.postings:
            at += posting.docid
            numbers.append(at)
        docs.append(sequence(numbers))
        freqs.append(sequence([posting.tf for posting in one.postings]))
        terms.append(one.term)
    records = list(reader.read_documents())
(folder / "inv.docs").write_bytes(b"".join(docs))
(folder / "inv.freqs").write_bytes(b"".join(freqs))
(folder / "inv.sizes").write_bytes(sequence([one.doclength for one in records]))
(folder / "fwd.terms").write_text("".join(f"{term}\\n" for term in terms))
(folder / "fwd.documents").write_text("".join(f"{one.collection_docid}\\n" for one in records))
"""


def test_a_ciff_file_converted_by_ciff_toolkit_is_the_collection_that_is_written_for_pisa(tmp_path, matrices):
    python = python_of("CIFF_TOOLKIT_PYTHON", "ciff-toolkit")
    documents, queries = (batch_of(each, ids=ids) for each, ids in zip(matrices, (DOC_IDS, None), strict=True))
    written(Ciff(), tmp_path / "ciff", documents, queries, WORDS)
    written(Pisa(), tmp_path / "pisa", documents, queries, WORDS)
    (tmp_path / "converted").mkdir()
    run(python, CONVERTED, tmp_path / "ciff/docs.ciff", tmp_path / "converted")
    names = sorted(path.name for path in (tmp_path / "converted").iterdir())
    assert len(names) == 5
    for name in names:
        assert (tmp_path / "converted" / name).read_bytes() == (tmp_path / "pisa" / name).read_bytes(), name


PISA = """
import ctypes, json, sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
from pathlib import Path
import numpy as np
folder, k = Path(sys.argv[1]), int(sys.argv[2])
threads = Path(sys.prefix) / "lib/libtbb.so.2"
if threads.exists():
    ctypes.CDLL(str(threads))
path = next(Path(find_spec("pyterrier_pisa").submodule_search_locations[0]).glob("_pisathon*.so"))
native = module_from_spec(spec_from_loader("_pisathon", ExtensionFileLoader("_pisathon", str(path))))
ExtensionFileLoader("_pisathon", str(path)).exec_module(native)
for names, lexicon in (("terms", "termlex"), ("documents", "doclex")):
    native.build_binlex(str(folder / f"fwd.{names}"), str(folder / f"again.{lexicon}"))
    assert (folder / f"again.{lexicon}").read_bytes() == (folder / f"fwd.{lexicon}").read_bytes(), lexicon
terms = (folder / "fwd.terms").read_text().split("\\n")
asked = []
for line in (folder / "queries.pisa").read_text().splitlines():
    weights = {}
    for number in line.partition(":")[2].split():
        word = terms[int(number)]
        weights[word] = weights.get(word, 0.0) + 1
    asked.append((len(asked), weights))
context = native.RetrievalContext()
native.prepare_index(context, str(folder), "block_simdbp", "quantized", "", quantize=0, stop_fname="")
for algorithm in ("block_max_wand", "maxscore"):
    room = len(asked) * k
    numbers, names = np.empty(room, np.int32), np.empty(room, object)
    ranks, scores = np.empty(room, np.int32), np.empty(room, np.float32)
    size = native.retrieve(
        context, algorithm, asked, k=k, threads=1, query_weighted=1, pretokenised=True, result_qidxs=numbers,
        result_docnos=names, result_ranks=ranks, result_scores=scores,
    )
    found = [[[], []] for _ in asked]
    for at in np.lexsort((ranks[:size], numbers[:size])):
        found[numbers[at]][0].append(names[at])
        found[numbers[at]][1].append(float(scores[at]))
    print("found", json.dumps(found))
"""


@pytest.mark.parametrize("through", ["pisa", "ciff"])
def test_pisa_compresses_and_searches_what_was_written(tmp_path, matrices, through):
    python = python_of("PISA_PYTHON", "pyterrier-pisa and numpy")
    documents, queries = batch_of(matrices[0], ids=DOC_IDS), batch_of(matrices[1], "q")
    found, asked = written(Pisa(), tmp_path, documents, queries, WORDS)
    if through == "ciff":
        written(Ciff(), tmp_path / "ciff", documents, queries, WORDS)
        other = python_of("CIFF_TOOLKIT_PYTHON", "ciff-toolkit")
        run(other, CONVERTED, tmp_path / "ciff/docs.ciff", tmp_path)
    expected = scores(found, asked)
    lines = [line for line in run(python, PISA, tmp_path, K).splitlines() if line.startswith("found")]
    assert len(lines) == 2
    for line in lines:
        for (ids, given), own in zip(json.loads(line.removeprefix("found")), expected, strict=True):
            check_ranking(ids, given, own, 10_000, K)


def test_bmp_reads_the_ciff_file_and_searches_exactly(tmp_path, matrices):
    bmp = pytest.importorskip("bmp", reason="bmp is not installed")
    documents, queries = matrices
    target = Bmp()
    found, asked = written(target, tmp_path, batch_of(documents, ids=DOC_IDS), batch_of(queries, "q"), WORDS)
    bmp.ciff2bmp(str(tmp_path / "docs.ciff"), str(tmp_path / "docs.bmp"), 8, False)
    searcher = bmp.Searcher(str(tmp_path / "docs.bmp"))
    lines = [json.loads(line) for line in (tmp_path / "queries.jsonl").read_text().splitlines()]
    run_of = [
        line.split(" Q0 ")
        for line in bmp.search(str(tmp_path / "docs.bmp"), str(tmp_path / "queries.txt"), K, 1.0, 1.0).splitlines()
    ]
    assert len(lines) == 20
    for line, own in zip(lines, scores(found, asked), strict=True):
        factor = target.impacts.document / line["unit"]
        check_ranking(*searcher.search(line["vector"], K, 1.0, 1.0), own, factor, K)
        ranked = [rest.rsplit(" ", 3) for query_id, rest in run_of if query_id == line["id"]]
        check_ranking([each[0] for each in ranked], [float(each[2]) for each in ranked], own, factor, K)


def test_bmp_takes_any_document_to_the_end_but_those_of_its_lowest_block(tmp_path, matrices):
    """The loss that the page states: the block whose bound is lowest of all is never looked at."""
    bmp = pytest.importorskip("bmp", reason="bmp is not installed")
    documents, queries = matrices
    found, asked = written(Bmp(), tmp_path, batch_of(documents, ids=DOC_IDS), batch_of(queries, "q"), WORDS)
    bmp.ciff2bmp(str(tmp_path / "docs.ciff"), str(tmp_path / "docs.bmp"), 8, False)
    searcher = bmp.Searcher(str(tmp_path / "docs.bmp"))
    kept = np.stack([found[name] for name in DOC_IDS])
    lines = map(json.loads, (tmp_path / "queries.jsonl").read_text().splitlines())
    for line, vector, own in zip(lines, asked.values(), scores(found, asked), strict=True):
        bounds = np.array([kept[at : at + 8].max(0) @ vector for at in range(0, 600, 8)])
        lowest = int(np.argmin(np.where(bounds > 0, bounds, np.inf)))
        ids, _ = searcher.search(line["vector"], 600, 1.0, 1.0)
        missing = {DOC_IDS.index(name) for name in np.array(DOC_IDS)[own > 0]} - {DOC_IDS.index(name) for name in ids}
        assert {row // 8 for row in missing} <= {lowest}


@pytest.mark.parametrize("shards", [None, 250])
def test_seismic_builds_from_the_lines_and_keeps_half_floats(tmp_path, matrices, shards):
    seismic = pytest.importorskip("seismic", reason="pyseismic-lsr is not installed")
    documents, queries = matrices
    target = Seismic(shard_docs=shards)
    found, asked = written(target, tmp_path, batch_of(documents, ids=DOC_IDS), batch_of(queries, "q"), WORDS)
    paths = sorted(tmp_path.glob("docs*.jsonl"))
    (tmp_path / "all.jsonl").write_bytes(b"".join(path.read_bytes() for path in paths))
    index = seismic.SeismicIndex.build(str(tmp_path / "all.jsonl"), num_threads=1)
    assert index.len == 600
    expected = scores(found, asked)
    for number, line in enumerate((tmp_path / "queries.jsonl").read_text().splitlines()):
        query = json.loads(line)
        tokens = np.array(list(query["vector"]), seismic.get_seismic_string())
        values = np.array(list(query["vector"].values()), np.float32)
        ranking = index.search(query["id"], tokens, values, K, len(tokens), 1.0)
        assert len(ranking) > K // 2 or not (expected[number] > 0).any()
        for _, score, doc_id in ranking:
            own = expected[number][DOC_IDS.index(doc_id)]
            assert score == pytest.approx(own, rel=1e-5)
