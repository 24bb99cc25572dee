"""Training data whose lines hold the texts, in the forms of FlagEmbedding and tevatron."""

import gzip
import json

import numpy as np
import pytest
from hydra.utils import instantiate

from splade.config import configure
from splade.data import HardNegatives, TeacherScores, mixed_from
from splade.data.score_files.negatives import write_scores
from splade.files import InputError
from splade.records import Text
from splade.training.step.answers import answer_keys, answers_of, text_hashes
from tests.data.writing import jsonl, put, tsv

FLAG = [
    {"query": "heat of sun", "pos": ["the sun is hot", "solar heat"], "neg": ["the sea", "the river", "the moon"]},
    {"query": "speed of sound", "pos": ["sound is fast"], "neg": ["light is faster"]},
]
SCORED = [
    FLAG[0] | {"pos_scores": [9.0, 8.0], "neg_scores": [1.0, 8.5, 3]},
    FLAG[1] | {"pos_scores": [7.0], "neg_scores": [-1.5]},
]
TEVATRON = [
    {
        "query_id": "q7",
        "query": "heat of sun",
        "positive_passages": [{"docid": "d1", "title": "Sun", "text": "is hot"}],
        "negative_passages": [{"docid": "d2", "title": "", "text": "the sea"}, {"docid": 3, "text": "the river"}],
    },
    {
        "query_id": 8,
        "query": "the sea",
        "positive_passages": [{"docid": "d2", "title": "", "text": "the sea"}],
        "negative_passages": [{"docid": "d1", "title": "Sun", "text": "is hot"}],
    },
]


def rng(seed=0):
    return np.random.default_rng(seed)


def drawn(source, index, times=60):
    return [source.example(index, rng(seed)) for seed in range(times)]


def test_lines_of_flagembedding_need_neither_collections_nor_qrels(tmp_path):
    source = HardNegatives(jsonl(tmp_path / "train.jsonl", FLAG), n_negatives=2, with_teacher=False)
    assert (len(source), source.n_documents, source.has_teacher) == (2, 3, False)
    examples = drawn(source, 0)
    assert {example.query.text for example in examples} == {"heat of sun"}
    assert {example.documents[0].text for example in examples} == set(FLAG[0]["pos"])
    assert {document.text for example in examples for document in example.documents[1:]} == set(FLAG[0]["neg"])
    assert source.example(1, rng()).documents[0] == Text("2+0", "sound is fast")


def test_pos_scores_and_neg_scores_are_the_teachers(tmp_path):
    source = HardNegatives(jsonl(tmp_path / "train.jsonl", SCORED))
    assert source.example(1, rng()).teacher == (7.0, -1.5)
    known = dict(zip([*FLAG[0]["pos"], *FLAG[0]["neg"]], [9.0, 8.0, 1.0, 8.5, 3.0], strict=True))
    for example in drawn(source, 0):
        assert example.teacher == tuple(known[document.text] for document in example.documents)


def test_false_negatives_are_told_by_their_scores_and_teachers_are_rescored(tmp_path):
    path = jsonl(tmp_path / "train.jsonl", SCORED)
    source = HardNegatives(path, n_negatives=2, margin=0.0)
    assert {each.text for example in drawn(source, 0) for each in example.documents[1:]} == {"the sea", "the moon"}
    rescored = HardNegatives(path, teacher=TeacherScores(rescore_mean=0.0, rescore_std=1.0))
    values = [*SCORED[0]["pos_scores"], *SCORED[0]["neg_scores"], 7.0, -1.5]
    expected = (7.0 - np.mean(values)) / np.std(values)
    assert rescored.example(1, rng()).teacher[0] == pytest.approx(expected, rel=1e-5)


def test_lines_of_tevatron_keep_their_ids_and_join_title_and_text(tmp_path):
    source = HardNegatives(jsonl(tmp_path / "train.jsonl", TEVATRON), n_negatives=2, with_teacher=False)
    found = source.example(0, rng())
    assert found.query == Text("q7", "heat of sun")
    assert found.documents[0] == Text("d1", "Sun is hot")
    assert set(found.documents[1:]) == {Text("d2", "the sea"), Text("3", "the river")}
    assert source.example(1, rng()).query.id == "8"


def test_an_answer_that_another_line_lists_as_a_negative_is_known_in_the_batch(tmp_path):
    source = HardNegatives(jsonl(tmp_path / "train.jsonl", TEVATRON), with_teacher=False)
    batch = [source.example(index, rng()) for index in range(2)]
    texts = text_hashes([document.text for example in batch for document in example.documents]).view(2, 2)
    found = answers_of(*answer_keys(batch), texts)
    assert found[0].tolist() == [True, False, False, True]  # "Sun is hot" is the second line's negative


@pytest.mark.parametrize("lines", [FLAG, TEVATRON], ids=["flagembedding", "tevatron"])
@pytest.mark.parametrize("how", ["plain", "gz", "mark"])
def test_texts_are_read_back_from_packed_files_and_after_a_byte_order_mark(tmp_path, lines, how):
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    path = put(
        tmp_path / f"train.jsonl{'.gz' if how == 'gz' else ''}", (b"\xef\xbb\xbf" if how == "mark" else b"") + content
    )
    assert how != "gz" or gzip.decompress(path.read_bytes()) == content
    source = HardNegatives(path, with_teacher=False)
    assert [source.example(index, rng()).query.text for index in (1, 0)] == [lines[1]["query"], lines[0]["query"]]


def test_queries_without_negatives_are_counted_and_a_folder_may_stand_for_the_file(tmp_path, caplog):
    jsonl(tmp_path / "scores.jsonl", [*FLAG, {"query": "x", "pos": ["y"]}])
    assert len(HardNegatives(tmp_path, with_teacher=False)) == 2
    assert "1 queries without a negative (as '2')" in caplog.text


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"query": "q", "pos": "text", "neg": []}, "pos must be a list, got 'text'"),
        ({"query": 3, "pos": ["a"], "neg": ["b"]}, "query must be a text, got 3"),
        ({"query": "q", "pos": ["a"], "neg": [3]}, r"neg\[0\] must be a text, or \{\"docid\": …"),
        (
            {"query": "q", "pos": ["a"], "neg": ["b"], "neg_scores": [1, 2]},
            "neg_scores must hold one score for each of 1",
        ),
        (
            {"query": "q", "pos": ["a"], "neg": ["b"], "pos_scores": ["x"]},
            "pos_scores: a teacher score must be a finite",
        ),
        ({"query": "q", "pos": ["a"], "neg": ["b"], "pos_scores": [True]}, "a teacher score must be a finite number"),
        (
            {"query": "q", "positive_passages": [{"docid": "d"}]},
            r"positive_passages\[0\]: text \(or contents\) must be",
        ),
        ({"query": "q", "query_id": "", "pos": ["a"], "neg": ["b"]}, "an id must be a non-empty string"),
    ],
)
def test_a_malformed_line_is_refused_with_file_and_line(tmp_path, line, told):
    path = jsonl(tmp_path / "train.jsonl", [FLAG[0], line])
    with pytest.raises(InputError, match=rf"train\.jsonl:2: .*{told}"):
        HardNegatives(path, with_teacher=False)


def test_what_would_not_be_read_beside_texts_is_refused(tmp_path):
    path = jsonl(tmp_path / "train.jsonl", FLAG)
    with pytest.raises(InputError, match=r"so data\.TRAIN\.QREL_PATH would not be read: remove it \(as ~data\.TRAIN\."):
        HardNegatives(path, qrels="qrels.json")
    with pytest.raises(InputError, match=r"data\.TRAIN\.Q_COLLECTION_PATH, data\.positive_first would not be read"):
        HardNegatives(path, "queries", positive_first=True)
    with pytest.raises(InputError, match="holds texts; give one such file"):
        HardNegatives([path, path])
    with pytest.raises(InputError, match=r"config\.teacher\.normalize"):
        HardNegatives(path, teacher=TeacherScores("min_max"))


def test_ids_without_texts_ask_for_the_collections(tmp_path):
    write_scores(tmp_path / "scores.jsonl", {"q1": {"a": 1.0, "b": 0.5}})
    with pytest.raises(InputError, match=r"data\.TRAIN\.Q_COLLECTION_PATH and data\.TRAIN\.D_COLLECTION_PATH"):
        HardNegatives(tmp_path, qrels=put(tmp_path / "q.txt", "q1 0 a 1\n"))


def test_a_config_needs_to_name_nothing_but_the_file(tmp_path):
    path = jsonl(tmp_path / "train.jsonl", SCORED)
    given = ["data={type: hard_negatives, TRAIN: {DATASET_PATH: " + str(path) + "}}", "~data.TRAIN_DATA_DIR"]
    cfg = configure("train", [*given, "loss=margin_mse", "validation=none"])
    assert instantiate(cfg.examples).example(1, rng()).teacher == (7.0, -1.5)
    many = {"SPLADE_CONFIG_NAME": "config_hf_toy"}
    paths = [f"~data.TRAIN.{name}_PATH" for name in ("DATASET", "Q_COLLECTION", "D_COLLECTION", "QREL")]
    cfg = configure("hf_train", [*paths, f"hf.data.training_data_path={path}", "hf.data.n_negatives=1"], many)
    assert instantiate(cfg.examples).example(1, rng()).teacher == (7.0, -1.5)


def test_a_mix_takes_them_too(tmp_path):
    own = {"type": "hard_negatives", "DATASET_PATH": str(jsonl(tmp_path / "train.jsonl", FLAG))}
    mixed = mixed_from({"own": own}, {"hard_negatives": "splade.data.HardNegatives"}, 1, False)
    assert mixed.example(1, rng()).query.text == "speed of sound"


# ── scores that are missing ──


@pytest.fixture
def world(tmp_path):
    tsv(tmp_path / "q/raw.tsv", [("1", "query 1")])
    tsv(tmp_path / "d/raw.tsv", [(id, f"text {id}") for id in "abc"])
    jsonl(tmp_path / "negatives.jsonl", [{"qid": 1, "pos": ["a"], "neg": {"bm25": ["b", "c"]}}])
    return tmp_path


def test_candidates_without_scores_name_the_setting_that_brings_them(world):
    with pytest.raises(InputError) as caught:
        HardNegatives(world / "negatives.jsonl", world / "q", world / "d")
    assert "3 candidates without a score (as 'a')" in str(caught.value)
    assert "give them in data.TRAIN.SCORES_PATH (python -m splade.score makes them)" in str(caught.value)
    assert "Do its ids belong" not in str(caught.value)


def test_scores_of_other_documents_are_named(world):
    write_scores(world / "s.jsonl", {"1": {"z": 1.0}})
    with pytest.raises(InputError, match=r"data\.TRAIN\.SCORES_PATH; .*s\.jsonl has none for these"):
        HardNegatives(world / "negatives.jsonl", world / "q", world / "d", scores_of=world / "s.jsonl")


def test_mined_negatives_whose_positive_has_no_score_name_it_too(world):
    write_scores(world / "mined.jsonl", {"1": {"b": 3.0, "c": 1.0}})
    qrels = put(world / "qrels.txt", "1 0 a 1\n")
    with pytest.raises(InputError, match=r"1 queries without a scored positive .*of the positive as of negatives"):
        HardNegatives(world / "mined.jsonl", world / "q", world / "d", qrels)


def test_texts_without_scores_name_the_fields_that_hold_them(tmp_path):
    with pytest.raises(InputError, match="give them in pos_scores and neg_scores of its lines"):
        HardNegatives(jsonl(tmp_path / "train.jsonl", FLAG))
