import numpy as np
import pytest
import torch

from splade.data import HardNegatives, open_collection, open_queries, read_scores, write_scores
from splade.files import InputError, read_json
from splade.mining import RerankerTeacher, RetrieverTeacher, Texts, score
from splade.mining.teachers import Group
from splade.models import Splade
from splade.models.rerankers import CrossEncoder, DuoT5
from splade.records import Text
from tests.data.writing import tsv
from tests.tiny import WORDS, tiny_cross_encoder, tiny_mlm, tiny_t5

DOCUMENTS = {"a": "sun and sea", "b": "sun", "c": "sea sea", "d": "moon", "e": "the sea of the moon"}
QUERIES = {"q1": "sun", "q2": "sea", "q3": "moon"}
CANDIDATES = {
    "q1": {"c": 3.0, "a": 2.0},
    "q2": {"b": 5.0, "e": 4.0, "ghost": 1.0},
    "nobody": {"a": 1.0},
    "q3": {"d": 1.0},
}
POSITIVES = {"q1": {"b"}, "q2": {"c", "a"}, "q3": {"e"}}


class Overlap:
    """Scores a document by a third of the times that the query's word is in it; may fail at a query."""

    def __init__(self, fail_at=None):
        self.fail_at, self.calls = fail_at, []

    def about(self):
        return {"kind": "overlap"}

    def scores(self, groups):
        ids = [group.query.id for group in groups]
        if self.fail_at in ids:
            raise KeyboardInterrupt
        self.calls += ids
        return [
            np.array([document.text.split().count(query.text) / 3 for document in documents], np.float32)
            for query, documents in groups
        ]


@pytest.fixture
def world(tmp_path):
    tsv(tmp_path / "q/raw.tsv", QUERIES.items())
    tsv(tmp_path / "d/raw.tsv", DOCUMENTS.items())
    write_scores(tmp_path / "negatives.jsonl", CANDIDATES)
    return tmp_path


def run(world, teacher, name="scores.jsonl.gz", piece=32, positives=POSITIVES):
    texts = Texts(open_queries(world / "q"), open_collection(world / "d"), positives)
    return score(world / "negatives.jsonl", texts, teacher, world / name, piece)


def test_every_candidate_and_every_answer_gets_the_teachers_score_and_answers_come_first(world, caplog):
    statistics = run(world, Overlap())
    third = np.float32(1) / np.float32(3)
    found = read_scores(world / "scores.jsonl.gz")
    assert found == {
        "q1": {"b": pytest.approx(third), "c": 0.0, "a": pytest.approx(third)},
        "q2": {"a": pytest.approx(third), "c": pytest.approx(2 * third), "b": 0.0, "e": pytest.approx(third)},
        "q3": {"e": pytest.approx(third), "d": pytest.approx(third)},
    }
    assert [list(documents) for documents in found.values()] == [["b", "c", "a"], ["a", "c", "b", "e"], ["e", "d"]]
    assert np.float32(found["q1"]["b"]) == third
    assert statistics == {
        "queries": 3, "pairs": 9, "positives": 4, "answers_scored_best": 3,
        "unknown_queries": 1, "unknown_documents": 1,
    }  # fmt: skip
    assert "1 queries and 1 documents have no text" in caplog.text
    assert read_json(world / "scores.stats.json")["statistics"] == statistics


def test_training_reads_the_scores(world):
    run(world, Overlap())
    (world / "qrels.tsv").write_text("".join(f"{q}\t{d}\t1\n" for q, ids in POSITIVES.items() for d in sorted(ids)))
    source = HardNegatives(world, world / "q", world / "d", world / "qrels.tsv", n_negatives=1)
    assert len(source) == 3
    example = source.example(2, np.random.default_rng(0))
    assert [document.id for document in example.documents] == ["e", "d"]


def test_without_qrels_only_the_candidates_are_scored(world):
    run(world, Overlap(), positives={})
    assert [list(documents) for documents in read_scores(world / "scores.jsonl.gz").values()] == [
        ["c", "a"], ["b", "e"], ["d"],
    ]  # fmt: skip


def test_negatives_listed_by_system_are_scored_too(world):
    (world / "negatives.jsonl").write_text('{"qid": "q1", "pos": ["b"], "neg": {"bm25": ["c"], "dense": ["a", "c"]}}\n')
    run(world, Overlap(), positives={})
    assert [list(documents) for documents in read_scores(world / "scores.jsonl.gz").values()] == [["b", "c", "a"]]


@pytest.mark.parametrize("fail_at", ["q1", "q2", "q3"])
def test_an_interrupted_scoring_goes_on_to_the_same_bytes_and_repeats_nothing(world, fail_at):
    statistics = run(world, Overlap(), "straight.jsonl.gz", piece=1)
    with pytest.raises(KeyboardInterrupt, match="the same command continues there"):
        run(world, Overlap(fail_at), piece=1)
    teacher = Overlap()
    assert run(world, teacher, piece=1) == statistics
    assert teacher.calls == list(QUERIES)[list(QUERIES).index(fail_at) :]
    assert (world / "scores.jsonl.gz").read_bytes() == (world / "straight.jsonl.gz").read_bytes()
    assert run(world, Overlap("q1")) == statistics  # finished: nothing is scored


def test_other_candidates_are_not_taken_for_the_same(world):
    run(world, Overlap())
    write_scores(world / "negatives.jsonl", {"q1": {"d": 1.0}})
    with pytest.raises(InputError, match="made with other candidates"):
        run(world, Overlap())


def test_candidates_of_another_collection_are_refused(world):
    write_scores(world / "negatives.jsonl", {"x": {"y": 1.0}})
    with pytest.raises(InputError, match="none of its queries and documents has a text"):
        run(world, Overlap())


def groups():
    chance = np.random.default_rng(0)

    def text(id):
        return Text(id, " ".join(chance.choice(WORDS, chance.integers(1, 12))))

    made = [Group(text(f"q{n}"), [text(f"d{n}.{m}") for m in range(1 + n)]) for n in range(4)]
    return [*made, Group(made[3].query, [text(f"e{m}") for m in range(3)])]  # the words of a query twice


def test_a_reranker_teaches_what_it_scores_each_pair_alone(tmp_path):
    reranker = CrossEncoder(tiny_cross_encoder(tmp_path / "ce", layers=1), max_length=48)
    reranker.save_pretrained(tmp_path / "ours")
    teacher = RerankerTeacher(str(tmp_path / "ours"), batch_size=3)
    for group, scores in zip(groups(), teacher.scores(groups()), strict=True):
        alone = [float(reranker.score([(group.query.text, document.text)])[0]) for document in group.documents]
        assert scores.tolist() == pytest.approx(alone, abs=1e-5)
    plain = RerankerTeacher(str(tmp_path / "ce"), max_length=48)
    assert plain.about() == teacher.about()
    other = RerankerTeacher(str(tiny_cross_encoder(tmp_path / "other", layers=1, seed=1)), max_length=48)
    assert plain.about() != other.about()


def test_a_pairwise_reranker_compares_the_documents_of_one_group(tmp_path):
    folder = tiny_t5(tmp_path / "t5", layers=1)
    teacher = RerankerTeacher(str(folder), "duoT5", max_length=96)
    reranker = DuoT5(folder, max_length=96)
    for group, scores in zip(groups(), teacher.scores(groups()), strict=True):
        alone = reranker.score([(group.query.text, document.text) for document in group.documents])
        assert scores.tolist() == pytest.approx(alone.tolist(), abs=1e-5)


@torch.no_grad()
def test_a_retriever_teaches_the_inner_products_of_its_vectors(tmp_path):
    model = Splade(
        tiny_mlm(tmp_path / "d", layers=1), model_type_or_dir_q=str(tiny_mlm(tmp_path / "q", layers=1, seed=1))
    ).eval()
    found = RetrieverTeacher(model, batch_size=2).scores(groups())

    def vector(side, text):
        tokens = model.tokenizer(side)(text.text, return_tensors="pt")
        return model(side, tokens["input_ids"], tokens["attention_mask"])[0]

    for (query, documents), scores in zip(groups(), found, strict=True):
        expected = [float(vector("query", query) @ vector("document", document)) for document in documents]
        assert scores.tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("keep", [0, 25, 1 << 20])
def test_a_retriever_keeps_vectors_of_documents_up_to_a_bound_and_scores_the_same(tmp_path, keep):
    model = Splade(tiny_mlm(tmp_path / "d", layers=1)).eval()
    expected = RetrieverTeacher(model, batch_size=2).scores(groups())
    teacher, encoded = RetrieverTeacher(model, batch_size=2, keep=keep), []
    encode = teacher.encoders["document"].encode_all
    teacher.encoders["document"].encode_all = lambda texts: encoded.extend(texts) or encode(texts)
    for _ in range(2):
        for group, scores in zip(groups(), expected, strict=True):
            assert teacher.scores([group])[0] == pytest.approx(scores, rel=1e-5)
            kept = sum(len(vector.terms) for vector in teacher._known.values())
            assert kept <= keep
    n_documents = sum(len(group.documents) for group in groups())
    assert len(encoded) == {0: 2 * n_documents, 25: len(encoded), 1 << 20: n_documents}[keep]
    assert n_documents <= len(encoded) <= 2 * n_documents


def test_a_dense_retriever_is_no_teacher():
    with pytest.raises(InputError, match="this one is dense"):
        RetrieverTeacher(type("Dense", (), {"engine": "dense"})())
