"""The collection of real sentences: every step keeps its rule, and what is made stays."""

import json
import sys

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from omegaconf import OmegaConf

from benchmarks.search.real import __main__ as command
from benchmarks.search.real import models, vectors
from benchmarks.search.real.fixtures import read_vectors
from benchmarks.search.real.models import RECIPES
from benchmarks.search.real.pairs import write_pairs
from benchmarks.search.real.texts import chosen, normal_form, read_questions, read_texts, split_sentences, windows
from benchmarks.search.real.vectors import Side, encode, maxima, medians_over_maxima
from splade.cli import main as cli
from splade.encoding import Encoder
from splade.files import InputError, read_json
from splade.models import Splade, load_retriever, save_retriever
from splade.models.heads.fused_head import splade_head
from tests.tiny import tiny_mlm

EIGHT = "the water of the sea is warm now."
SUBJECTS = "sea river rain snow ice fire earth stone sand metal iron gold".split()  # noqa: SIM905


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_retriever(Splade(tiny_mlm(folder / "start"), max_length=64), folder / "model")
    return folder / "model"


@pytest.fixture
def data(tmp_path):
    """A BEIR folder of a dozen texts of three sentences, with a question about each."""
    folder = tmp_path / "data" / "toy"
    (folder / "qrels").mkdir(parents=True)
    texts, questions = [], []
    for number, subject in enumerate(SUBJECTS):
        first = f"The {subject} was in the field of the old farm."
        last = f"A child with a dog and a {subject} is at school."
        texts.append(
            {
                "_id": f"t{number}",
                "title": "Short",
                "text": f"{first} All day long there was a light on the road. {last}",
            }
        )
        questions.append({"_id": f"q{number}", "text": f"Where is the {subject}, in which field?"})
    (folder / "corpus.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
    (folder / "queries.jsonl").write_text("".join(json.dumps(question) + "\n" for question in questions))
    for split, numbers in (("train", range(10)), ("dev", range(10, 12))):
        lines = ["query-id\tcorpus-id\tscore", *(f"q{number}\tt{number}\t1" for number in numbers)]
        (folder / "qrels" / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    return folder.parent


def test_sentences_end_where_a_new_one_begins_and_have_8_to_45_words():
    text = f'The Water of the sea is  warm now. "{EIGHT.capitalize()}" (But e. coli is small, in 3.5 mm of it, no?) '
    assert split_sentences(text + "Too short. A" + " word" * 44 + ". A" + " word" * 45 + ".") == [
        "The Water of the sea is warm now.",
        f'"{EIGHT.capitalize()}',  # the closing quote belongs to the end
        "(But e. coli is small, in 3.5 mm of it, no?",
        "A" + " word" * 44 + ".",
    ]


def test_each_sentence_is_encoded_once_and_fewer_are_the_first_of_more(data):
    texts = read_texts(data)
    everything = chosen(texts)
    assert len(everything.distinct) == len(set(everything.distinct)) == 2 * len(SUBJECTS) + 1
    some = chosen(texts, 7)
    assert some.distinct == everything.distinct[: len(some.distinct)]
    assert 7 <= len(some.distinct) < 10
    told = [[everything.distinct[number] for number in run] for run in everything.runs]
    assert told == list(texts.values())  # in the order of the texts, all three sentences of each


def test_documents_are_all_stretches_of_one_two_and_three_sentences():
    assert list(windows([[4, 7, 7, 2], [5]])) == [
        *((4,), (7,), (7,), (2,), (4, 7), (7, 7), (7, 2), (4, 7, 7), (7, 7, 2)),
        (5,),
    ]


def test_the_maximum_of_two_vectors_is_the_pooling_over_the_tokens_of_both():
    generator = torch.Generator().manual_seed(3)
    tokens, weight = (torch.randn(shape, generator=generator) for shape in ((9, 8), (300, 8)))
    bias = torch.full((300,), -2.0)
    apart = splade_head(tokens, [5, 4], weight, bias, "max", "log1p_relu")
    together = splade_head(tokens, [9], weight, bias, "max", "log1p_relu")
    made = maxima(sp.csr_matrix(apart.numpy()), [(0, 1), (1,), (0, 1, 1)])
    np.testing.assert_allclose(made[0].toarray(), together.numpy(), rtol=1e-5)
    np.testing.assert_array_equal(made[1].toarray()[0], apart[1].numpy())
    assert made.has_sorted_indices
    assert (made[2] != made[0]).nnz == 0


def test_no_question_is_in_two_halves_however_it_is_written(data):
    queries = data / "toy" / "queries.jsonl"
    twin = json.dumps({"_id": "q11", "text": "WHERE is the sea -- in which field"})  # in dev, and q0 is in train
    queries.write_text(queries.read_text().rsplit("\n", 2)[0] + f"\n{twin}\n")
    train, dev, calibration, held_out = read_questions(data, 0)
    halves = [[normal_form(text) for text in half] for half in ([q.text for q in train], calibration, held_out)]
    assert len({form for half in halves for form in half}) == sum(map(len, halves)) == 11
    assert [question.text for question in dev] == ["Where is the iron, in which field?"]
    fewer = read_questions(data, 4)
    assert fewer.train == train
    assert len(fewer.calibration) == len(fewer.held_out) == 2
    assert set(fewer.held_out) <= set(held_out)
    assert set(fewer.calibration) <= set(calibration)


def test_a_question_is_paired_with_the_sentences_that_have_its_rare_words(data, tmp_path):
    texts, questions = read_texts(data), read_questions(data, 0)
    pairs = write_pairs(tmp_path / "pairs", questions, texts, 100)
    documents = {record["_id"]: record["text"] for record in records(pairs / "corpus.jsonl")}
    for record in records(pairs / "queries.jsonl"):
        split = "train" if record["_id"].startswith("train") else "dev"
        judged = dict(line.split("\t")[:2] for line in (pairs / "qrels" / f"{split}.tsv").read_text().splitlines())
        subject = record["text"].split()[3].rstrip(",")
        assert documents[judged[record["_id"]]] == f"The {subject} was in the field of the old farm."


def test_encoding_goes_on_behind_the_parts_that_stand(model, tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "PART", 2)
    texts, made = ["the sea", "iron", "a bird", "gold and salt", "snow"], []
    monkeypatch.setattr(vectors, "_loaded", lambda path: made.append(path) or vectors.load_retriever(path))
    side = Side(model, "document")
    first = encode(tmp_path / "parts", side, texts[:3])
    assert len(made) == 2
    everything = encode(tmp_path / "parts", side, texts)
    assert len(made) == 4  # the first part was read; the short one was made again with its new neighbour
    assert (everything[:2] != first[:2]).nnz == 0
    np.testing.assert_allclose(everything[2].toarray(), first[2].toarray(), rtol=1e-4, atol=1e-5)  # beside another text
    whole = Encoder(vectors.load_retriever(model), "document").encode_all(
        vectors.Text(str(number), text) for number, text in enumerate(texts)
    )
    np.testing.assert_array_equal(everything.indices, whole.rows.columns)
    np.testing.assert_allclose(everything.data, whole.rows.weights, rtol=1e-4, atol=1e-5)


def test_an_interrupted_part_leaves_nothing(model, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(sp, "save_npz", interrupted)
    with pytest.raises(KeyboardInterrupt):
        encode(tmp_path / "parts", Side(model, "query"), ["the sea"])
    assert list((tmp_path / "parts").iterdir()) == []


def test_the_command_makes_collections_once(model, data, tmp_path, monkeypatch, capsys):
    trained = []
    monkeypatch.setattr(command, "write_start", lambda folder, layers: model)
    monkeypatch.setattr(
        command, "train", lambda out, recipe, *_, **__: trained.append(recipe.name) or linked(out, model)
    )
    arguments = ["--data", str(data), "--folder", str(tmp_path / "made"), "--models", "v3", "eff", "--workers", "1"]
    command.main(arguments)
    monkeypatch.setattr(vectors, "_encode_part", None)  # whoever encodes again, fails
    command.main(arguments)
    assert trained == ["v3", "eff"] * 2
    assert "real-eff: documents 72 of" in capsys.readouterr().out
    place = tmp_path / "made" / "collections" / "real-v3"
    documents, held_out = (sp.load_npz(place / f"{name}.npz") for name in ("docs", "held-out"))
    told = read_json(place / "statistics.json")
    assert documents.shape[0] == 6 * len(SUBJECTS) == told["documents"]["rows"]
    assert told["held-out"]["terms"] == held_out.nnz / held_out.shape[0]
    assert told["documents"]["flatness"] == pytest.approx(np.median(medians_over_maxima(documents.tocsr())))
    assert set(told["about"]["dev"]) == {"start", "trained"}


def test_models_are_trained_to_their_terms_and_eff_takes_the_documents_of_v3(data, tmp_path, monkeypatch):
    def in_process(command, **_):
        monkeypatch.setattr("sys.argv", ["splade"])
        monkeypatch.delitem(sys.modules, "splade.train", raising=False)  # as in a process of its own
        cli([command[2].removeprefix("splade."), *command[3:]])

    monkeypatch.setattr(models.subprocess, "run", in_process)
    pairs = write_pairs(tmp_path / "pairs", read_questions(data, 0), read_texts(data), 100)
    start = tiny_mlm(tmp_path / "start")
    folders = [models.train(tmp_path / name, RECIPES[name], start, pairs, steps=1) for name in ("v3", "eff")]
    v3, eff = map(load_retriever, folders)
    monkeypatch.setattr(models.subprocess, "run", None)
    assert models.train(tmp_path / "v3", RECIPES["v3"], start, pairs) == tmp_path / "v3" / "model"
    ramps = OmegaConf.load(tmp_path / "eff" / "config.yaml").config.regularizer
    assert (ramps.L1.target_q, ramps.FLOPS.target_d) == (6, 120)
    document, frozen, queries = (
        model.encoders[side].state_dict() for model, side in ((v3, "document"), (eff, "document"), (eff, "query"))
    )
    assert all(torch.equal(document[name], frozen[name]) for name in document)
    assert not all(torch.equal(document[name], queries[name]) for name in document)


def test_a_folder_of_other_texts_or_questions_is_refused(model, data, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "write_start", lambda folder, layers: model)
    arguments = ["--data", str(data), "--folder", str(tmp_path / "made")]
    options = command._parser().parse_args(arguments)
    command.Making(options)
    options.questions = 6
    with pytest.raises(InputError, match=r"begun\.json: begun with other questions"):
        command.Making(options)
    with pytest.raises(SystemExit, match="begun with other steps"):
        command.main([*arguments, "--steps", "7"])


def test_a_folder_without_texts_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no folder in it has a corpus\.jsonl"):
        read_texts(tmp_path)


def test_a_token_that_the_vocabulary_lacks_is_named_with_its_line(tmp_path):
    file = tmp_path / "queries.jsonl"
    file.write_text('{"id": "1", "vector": {"sea": 150, "salt": 50}}\n{"id": "2", "vector": {"selenium": 1}}\n')
    with pytest.raises(InputError, match=r"queries\.jsonl:2: .* 'selenium'"):
        read_vectors(file, {"salt": 0, "sea": 1})
    assert read_vectors(file, {"salt": 0, "sea": 1, "selenium": 2})[0].toarray().tolist() == [[0.5, 1.5, 0.0]]


def records(path):
    """The records of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def linked(out, model):
    """``out/model``, as a training leaves it."""
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "model").exists():
        (out / "model").symlink_to(model)
    return out / "model"
