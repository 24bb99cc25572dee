"""The command splade.explain, with texts as they are typed, and with a document of an index."""

import json

import pytest

from splade.files import read_json

MODEL = ("config.pretrained_no_yamlconfig=true", "init_dict.model_type_or_dir=MODEL")
SAID = 'What is "heat", and [why] isn\'t it ${cold}?'


@pytest.fixture
def explained(splade, workplace, capsys):
    """``explained(*arguments)``: the JSON that the command prints."""

    def run(*arguments):
        capsys.readouterr()
        splade("explain", *arguments, *MODEL, "explain.format=json", cwd=workplace)
        return json.loads(capsys.readouterr().out)

    return run


def test_a_text_is_taken_as_it_was_typed(explained):
    told = explained(f"explain.text={SAID}")
    assert (told["kind"], told["side"], told["text"]) == ("bag", "document", SAID)
    assert {term["token"] for term in told["terms"] if term["own"]} >= {"heat", "why"}


def test_a_query_and_a_document_are_explained_term_by_term(explained):
    told = explained("explain.query=heat of the sun", "explain.document=the heat, the sea")
    assert told["kind"] == "match"
    assert sum(term["product"] for term in told["terms"]) == pytest.approx(told["score"], rel=1e-5)


def test_a_document_of_an_index_has_the_weights_and_the_score_of_a_search(splade, explained, workplace, tmp_path):
    places = (f"config.index_dir={tmp_path}/index", f"config.out_dir={tmp_path}/out", *MODEL)
    data = ("data.COLLECTION_PATH=data/msmarco/full_collection", "data.Q_COLLECTION_PATH=[data/msmarco/dev_queries]",
            "data.EVAL_QREL_PATH=[data/msmarco/dev_qrel.json]", "config.retrieval_name=[DEV]")  # fmt: skip
    pruned = ("config.index_weights=uint8", "config.search.prune_top_terms=6")
    splade("index", *data, *places, *pruned, cwd=workplace)
    splade("retrieve", *data, *places, *pruned, cwd=workplace)
    run = read_json(tmp_path / "out/DEV/run.json")["q0"]
    for doc_id, score in list(run.items())[:3]:
        told = explained("explain.query=heat of sun", f"explain.document_id={doc_id}", *data, *places, *pruned)
        assert told["score"] == pytest.approx(score, rel=1e-6)
        assert len(told["terms"]) + len(told["missing_in_document"]) <= 6
        assert all(term["document_own"] is not None for term in told["terms"])
        assert told["document"]["text"]


def test_two_models_are_shown_on_one_page(splade, workplace, tmp_path, capsys):
    page = tmp_path / "explained.html"
    splade("explain", "explain.text=heat", *MODEL, "explain.beside=distilbert-base-uncased", "explain.format=html",
           f"explain.path={page}", cwd=workplace)  # fmt: skip
    assert capsys.readouterr().out == ""
    assert "<h1>MODEL and distilbert-base-uncased</h1>" in page.read_text()


@pytest.mark.thinned(3)
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "set explain.text, explain.query with explain.document"),
        (("explain.text=a", "explain.query=b"), "explain.query, explain.text given"),
        (("explain.query=a",), "explain.query given"),
        (("explain.text=a", "explain.format=xml"), "xml"),
        (("explain.text=a", "explain.side=left"), "left"),
        (("explain.text=a", "explain.n_terms=0"), "explain.n_terms"),
        (("explain.query=a", "explain.document_id=1", "explain.beside=MODEL"), "explain.beside"),
        (("explain.query=a", "explain.document_id=1", "config.index_dir=nowhere"), "nowhere: there is no index here"),
    ],
)
def test_what_cannot_be_explained_is_told_in_words(splade, workplace, capsys, arguments, told):
    with pytest.raises(SystemExit) as ended:
        splade("explain", *arguments, *MODEL, cwd=workplace)
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert told in printed.err + printed.out
    assert "Traceback" not in printed.err
