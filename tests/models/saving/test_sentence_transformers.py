"""Sentence Transformers itself on our folders, and we on its: the same vectors from both."""

import pytest
import torch
import transformers

from splade.encoding import Encoder
from splade.models import Splade, SpladeDoc, SpladeIdf, SpladeTable, SpladeTopK, load_retriever, save_retriever
from splade.records import Text
from tests.models.support import TEXTS

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs

WORDS = [*TEXTS, "bee bee bee and the honey", "what is the speed of sound in the air over the cold sea " * 4]


def ours(model, side):
    rows = Encoder(model, side, device="cpu").encode_all([Text(str(n), text) for n, text in enumerate(WORDS)]).rows
    vectors = torch.zeros(len(WORDS), model.vocab_size)
    for number, (start, end) in enumerate(zip(rows.offsets, rows.offsets[1:], strict=False)):
        vectors[number, torch.from_numpy(rows.columns[start:end]).long()] = torch.from_numpy(rows.weights[start:end])
    return vectors


def theirs(model, side):
    encode = {"query": model.encode_query, "document": model.encode_document}[side]
    return encode(WORDS, convert_to_tensor=True, convert_to_sparse_tensor=False).float().cpu()


def agree(model, their_model):
    for side in ("query", "document"):
        mine = ours(model, side)
        assert mine.count_nonzero() > 0
        torch.testing.assert_close(theirs(their_model, side), mine, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def st():
    """Sentence Transformers, imported by who runs these tests: seconds that collecting them need not take."""
    return pytest.importorskip("sentence_transformers")


OURS = {
    "max": (Splade, {}),
    "sum": (Splade, {"agg": "sum", "max_length": 20}),
    "max of two logarithms": (Splade, {"activation": "log1p_log1p_relu", "prompt_q": "find the ", "prompt_d": "a "}),
    "sum of two logarithms": (Splade, {"agg": "sum", "activation": "log1p_log1p_relu"}),
    "one model pooled by side": (Splade, {"agg_q": "sum", "activation_q": "log1p_log1p_relu"}),
    "two models": (Splade, {"model_type_or_dir_q": "other", "agg_q": "sum", "max_length": 30, "max_length_q": 9}),
    "top k": (SpladeTopK, {"top_d": 4, "top_q": 4}),
    "bag": (SpladeDoc, {"max_length_q": 11}),
    "idf": (SpladeIdf, {"idf": "table"}),
    "learned table": (SpladeTable, {"max_length_q": 11}),
}


@pytest.mark.thinned(4)
@pytest.mark.parametrize("variant", OURS)
def test_what_we_save_gives_the_same_vectors_there(st, mlm, other_mlm, tmp_path, json_file, variant):
    kind, options = OURS[variant]
    places = {"other": other_mlm, "table": json_file({"bee": 2.0, "honey": 3.5, "king": 0.25, "[SEP]": 9.0})}
    model = kind(mlm, **{name: places.get(value, value) for name, value in options.items()})
    if kind is SpladeTable:
        torch.nn.init.normal_(model.encoders["query"].projection.weight, generator=torch.Generator().manual_seed(1))
    save_retriever(model, tmp_path / "model")
    limit = {"max_active_dims": 4} if "top_d" in options and st.__version__ < "6" else {}  # 5 does not read it
    there = st.SparseEncoder(str(tmp_path / "model"), device="cpu", **limit)
    agree(model, there)
    agree(load_retriever(tmp_path / "model"), there)


PADDED = {name: OURS[name] for name in ("max", "two models", "bag", "idf", "learned table")}


@pytest.mark.thinned(5)
@pytest.mark.parametrize("variant", PADDED)
def test_a_head_with_more_rows_than_the_tokenizer_has_tokens_gives_the_same_vectors_there(
    st, mlm, other_mlm, tmp_path, json_file, variant
):
    kind, options = PADDED[variant]
    places = {
        "other": _with_rows(other_mlm, 320, tmp_path / "other"),
        "table": json_file({"bee": 2.0, "honey": 3.5, "king": 0.25}),
    }
    wide = _with_rows(mlm, 320, tmp_path / "wide")
    model = kind(wide, **{name: places.get(value, value) for name, value in options.items()})
    assert model.vocab_size == 320 > len(model.tokenizer("query"))
    save_retriever(model, tmp_path / "model")
    there = st.SparseEncoder(str(tmp_path / "model"), device="cpu")
    agree(model, there)
    agree(load_retriever(tmp_path / "model"), there)
    assert there.similarity(theirs(there, "query"), theirs(there, "document")).shape == (len(WORDS), len(WORDS))
    there.save_pretrained(str(tmp_path / "again"))
    agree(load_retriever(tmp_path / "again"), there)


def _with_rows(folder, n_rows, target):
    """The model of ``folder`` with a head of ``n_rows`` terms, as heads are widened to a round number."""
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder)
    model.resize_token_embeddings(n_rows)
    model.save_pretrained(target)
    transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(target)
    return target


def their_modules():
    """Their classes, from where the installed version has them."""
    sparse = pytest.importorskip("sentence_transformers.sparse_encoder")
    modules = getattr(sparse, "modules", None) or sparse.models
    try:
        from sentence_transformers.base.modules.router import Router
    except ImportError:
        from sentence_transformers.models import Router
    return modules, Router


@pytest.mark.thinned(2)
@pytest.mark.parametrize("agg", ["max", "sum"])
@pytest.mark.parametrize("activation", ["relu", "log1p_relu"])
def test_what_they_save_gives_the_same_vectors_here(st, mlm, tmp_path, agg, activation):
    modules, _ = their_modules()
    model = st.SparseEncoder(
        modules=[modules.MLMTransformer(str(mlm), max_seq_length=12), modules.SpladePooling(agg, activation)],
        device="cpu",
        prompts={"query": "find the ", "document": ""},
    )
    model.save_pretrained(str(tmp_path / "model"))
    agree(load_retriever(tmp_path / "model"), model)


def test_a_router_of_two_models_that_they_save(st, mlm, other_mlm, tmp_path):
    modules, router = their_modules()
    routes = router.for_query_document(
        [modules.MLMTransformer(str(other_mlm), max_seq_length=9), modules.SpladePooling("sum", "log1p_relu")],
        [modules.MLMTransformer(str(mlm), max_seq_length=20), modules.SpladePooling("max", "relu")],
    )
    model = st.SparseEncoder(modules=[routes], device="cpu")
    model.save_pretrained(str(tmp_path / "model"))
    again = load_retriever(tmp_path / "model")
    assert (again.max_length("query"), again.max_length("document")) == (9, 20)
    agree(again, model)


def test_a_router_with_a_table_that_they_save(st, mlm, tmp_path):
    modules, router = their_modules()
    document = modules.MLMTransformer(str(mlm))
    weights = torch.rand(len(document.tokenizer), generator=torch.Generator().manual_seed(4))
    table = modules.SparseStaticEmbedding(document.tokenizer, weight=weights, frozen=True)
    routes = router.for_query_document([table], [document, modules.SpladePooling("max", "log1p_relu")])
    model = st.SparseEncoder(modules=[routes], device="cpu")
    model.save_pretrained(str(tmp_path / "model"))
    again = load_retriever(tmp_path / "model")
    assert type(again) is SpladeIdf
    agree(again, model)
