"""Rerankers: what they score, how they fit prompts, and that training and inference meet the same inputs."""

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from splade.files import InputError, read_json
from splade.models.rerankers import KINDS, CrossEncoder, DuoT5, MonoT5, PairwisePrompt, RankT5, load_reranker
from splade.models.rerankers.prompts import duo_t5, fitted, mono_t5, which_passage
from tests.tiny import tiny_cross_encoder, tiny_mlm, tiny_t5, tiny_tokenizer

QUERY = "what is the speed of sound in air"
DOCUMENTS = ["the speed of sound", "bees make honey", "a bridge over the river for the train and the boat", ""]
PAIRS = [(QUERY, document) for document in DOCUMENTS]


def tiny_decoder(folder):
    """A decoder language model on the tiny WordPiece vocabulary."""
    tokenizer = tiny_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        ids = {"bos_token_id": None, "eos_token_id": None}
        model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, **ids))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_t5_with_letters(folder):
    """A T5 whose tokenizer holds the answers A and B as tokens."""
    tiny_t5(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["A", "B"])
    tokenizer.save_pretrained(folder)
    model = RankT5(folder).backbone
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {
        "cross_encoder": tiny_cross_encoder(root / "cross_encoder"),
        "t5": tiny_t5(root / "t5"),
        "letters": tiny_t5_with_letters(root / "letters"),
        "decoder": tiny_decoder(root / "decoder"),
        "mlm": tiny_mlm(root / "mlm"),
    }


MAKERS = {
    "cross_encoder": (CrossEncoder, "cross_encoder"),
    "rankT5": (RankT5, "t5"),
    "monoT5": (MonoT5, "t5"),
    "duoT5": (DuoT5, "t5"),
    "prompt_seq2seq": (PairwisePrompt, "letters"),
    "prompt_decoder": (PairwisePrompt, "decoder"),
}
POINTWISE = ["cross_encoder", "rankT5", "monoT5"]
PAIRWISE = ["duoT5", "prompt_seq2seq", "prompt_decoder"]


@pytest.fixture(scope="module")
def make(folders):
    made = {}

    def get(name):
        if name not in made:
            kind, folder = MAKERS[name]
            made[name] = kind(folders[folder], max_length=160).eval()
        return made[name]

    return get


@pytest.mark.thinned(2)
@pytest.mark.parametrize("name", MAKERS)
def test_every_pair_has_one_finite_score_in_the_order_given(make, name):
    reranker = make(name)
    scores = reranker.score(PAIRS)
    assert scores.shape == (4,)
    assert scores.dtype == torch.float32
    assert torch.isfinite(scores).all()
    torch.testing.assert_close(reranker.score(PAIRS[::-1]), scores.flip(0), atol=1e-5, rtol=1e-5)


@pytest.mark.thinned(2)
@pytest.mark.parametrize("name", MAKERS)
def test_scores_do_not_depend_on_the_batch_or_on_padding(make, name):
    reranker = make(name)
    torch.testing.assert_close(reranker.score(PAIRS, batch_size=1), reranker.score(PAIRS), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", MAKERS)
def test_scoring_leaves_the_mode_and_takes_no_gradient(make, name):
    reranker = make(name).train()
    first, second = reranker.score(PAIRS), reranker.score(PAIRS)
    assert reranker.training
    assert torch.equal(first, second)
    assert not first.requires_grad
    reranker.eval()


@pytest.mark.parametrize("name", MAKERS)
def test_no_pairs_give_no_scores(make, name):
    assert make(name).score([]).shape == (0,)


@pytest.mark.thinned(2)
@pytest.mark.parametrize("name", MAKERS)
def test_a_saved_reranker_comes_back_the_same(make, name, tmp_path):
    reranker = make(name)
    reranker.save_pretrained(tmp_path / "saved", extra={"step": 3})
    again = load_reranker(tmp_path / "saved")
    assert (type(again), again.max_length) == (type(reranker), 160)
    assert torch.equal(again.score(PAIRS), reranker.score(PAIRS))
    assert read_json(tmp_path / "saved" / "reranker.json")["extra"] == {"step": 3}


@pytest.mark.parametrize("name", MAKERS)
def test_training_and_inference_meet_the_same_inputs(make, name, monkeypatch):
    reranker, met = make(name), []
    encode = type(reranker).encode

    def remember(self, rows):
        met.append(encode(self, rows))
        return met[-1]

    monkeypatch.setattr(type(reranker), "encode", remember)
    long = [document * 9 for document in DOCUMENTS[:3]]
    reranker.group_scores([QUERY], [long])
    reranker.score([(QUERY, document) for document in long])

    def texts(inputs):
        return sorted(row[row != 0].tolist() for row in inputs["input_ids"])

    assert len(met) == 2
    assert texts(met[0]) == texts(met[1])


@pytest.mark.parametrize("name", POINTWISE)
def test_a_pointwise_score_is_the_training_logit_in_evaluation_mode(make, name):
    trained_on = make(name).group_scores([QUERY, "honey"], [DOCUMENTS[:2], DOCUMENTS[2:]])
    assert trained_on.requires_grad
    pairs = [(QUERY, DOCUMENTS[0]), (QUERY, DOCUMENTS[1]), ("honey", DOCUMENTS[2]), ("honey", DOCUMENTS[3])]
    torch.testing.assert_close(trained_on.detach().flatten(), make(name).score(pairs), atol=1e-5, rtol=1e-5)


def test_a_cross_encoder_is_the_classifier_of_transformers(make, folders):
    model = AutoModelForSequenceClassification.from_pretrained(folders["cross_encoder"]).eval()
    tokenizer = AutoTokenizer.from_pretrained(folders["cross_encoder"])
    with torch.no_grad():
        expected = model(**tokenizer(QUERY, DOCUMENTS[0], return_tensors="pt")).logits[0, 0]
    torch.testing.assert_close(make("cross_encoder").score(PAIRS[:1])[0], expected)


def test_t5_kinds_read_the_first_step_of_the_decoder(make):
    rank, mono = make("rankT5"), make("monoT5")
    tokenizer = rank.tokenizer

    def first_step(model, text):
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            return model.backbone(input_ids=ids, decoder_input_ids=torch.tensor([[0]])).logits[0, 0]

    document = DOCUMENTS[0]
    step = first_step(rank, f"Query: {QUERY} Document: {document}")
    torch.testing.assert_close(rank.score(PAIRS[:1])[0], step[tokenizer.convert_tokens_to_ids("<extra_id_10>")])
    step = first_step(mono, f"Query: {QUERY} Document: {document} Relevant:")
    true, false = tokenizer.convert_tokens_to_ids(["▁true", "▁false"])
    torch.testing.assert_close(mono.score(PAIRS[:1])[0], step[true] - step[false])


def test_a_decoder_answers_right_after_the_prompt(make):
    reranker = make("prompt_decoder")
    text = which_passage(QUERY, *DOCUMENTS[:2])
    ids = reranker.tokenizer(text, return_tensors="pt")["input_ids"][:, :-1]  # without the closing [SEP]
    with torch.no_grad():
        step = reranker.backbone(input_ids=ids).logits[0, -1]
    a, b = reranker.tokenizer.convert_tokens_to_ids(["a", "b"])
    torch.testing.assert_close(reranker.all_logits([(QUERY, *DOCUMENTS[:2])], 1)[0], step[a] - step[b])


ODDS = {"xy": 3.0, "yx": 1.0, "xz": 1.0, "zx": 1.0, "yz": 1 / 3, "zy": 3.0}


def known_wins(rows):
    """The logit that the first document of each row wins, from the table of odds."""
    return torch.tensor([ODDS[first + second] for _, first, second in rows]).log()


def test_pairwise_scores_average_wins_in_both_orders(make, monkeypatch):
    monkeypatch.setattr(DuoT5, "all_logits", lambda self, rows, size: known_wins(rows))
    # p(x>y)=3/4, p(y>x)=1/2, p(x>z)=p(z>x)=1/2, p(y>z)=1/4, p(z>y)=3/4
    scores = make("duoT5").score([("q", "x"), ("q", "y"), ("q", "z"), ("other", "x")])
    xy, xz, yz = (0.75 + 0.5) / 2, 0.5, (0.25 + 0.25) / 2
    expected = [(xy + xz) / 2, (1 - xy + yz) / 2, (1 - xz + 1 - yz) / 2, 0.5]
    torch.testing.assert_close(scores, torch.tensor(expected))


def test_pairwise_training_scores_are_mean_logits_of_winning(make, monkeypatch):
    monkeypatch.setattr(DuoT5, "row_logits", lambda self, rows: known_wins(rows))
    found = make("duoT5").group_scores(["q"], [["x", "y", "z"]])
    log3 = torch.tensor(3.0).log().item()
    torch.testing.assert_close(found, torch.tensor([[log3 / 2, -log3 / 2, log3 / 2]]))


@pytest.mark.parametrize("name", PAIRWISE)
def test_a_pairwise_reranker_needs_a_negative_to_train(make, name):
    with pytest.raises(ValueError, match="at least one negative"):
        make(name).group_scores(["q"], [["x"]])


@pytest.mark.parametrize("prompt", [mono_t5, duo_t5])
@pytest.mark.parametrize("max_length", [56, 64, 75])
def test_a_long_prompt_loses_the_ends_of_documents_and_keeps_its_own_words(make, prompt, max_length):
    tokenizer = make("monoT5").tokenizer
    documents = ["bee " * 80, "honey from the flower " * 30][: 1 if prompt is mono_t5 else 2]
    (ids,) = fitted(prompt, tokenizer, [("speed of sound", *documents)], max_length)
    text = tokenizer.decode(ids, skip_special_tokens=True)
    assert len(ids) <= max_length
    assert len(ids) > max_length - 6
    assert ids[-1] == tokenizer.eos_token_id
    assert text.startswith("Query: speed of sound")
    assert text.endswith("Relevant:")
    assert "bee" in text
    if prompt is duo_t5 and max_length == 75:
        assert "honey" in text


def test_a_short_document_leaves_its_room_to_the_query(make):
    tokenizer = make("monoT5").tokenizer
    query = "water " * 25
    (ids,) = fitted(mono_t5, tokenizer, [(query, "bee")], 56)
    assert tokenizer.decode(ids).count("water") == 25


def test_a_long_query_leaves_half_the_room_to_the_documents(make):
    tokenizer = make("monoT5").tokenizer
    (ids,) = fitted(mono_t5, tokenizer, [("water " * 90, "bee " * 90)], 60)
    text = tokenizer.decode(ids)
    assert len(ids) <= 60
    assert 0 < text.count("water") <= text.count("bee") + 1


def test_a_prompt_that_fits_is_left_as_it_is(make):
    tokenizer = make("monoT5").tokenizer
    rows = [("speed", "the speed of sound"), ("water", "")]
    assert fitted(mono_t5, tokenizer, rows, 64) == [tokenizer(mono_t5(*row))["input_ids"] for row in rows]


def test_a_length_without_room_for_texts_is_refused(make):
    with pytest.raises(InputError, match=r"config\.max_length=16 leaves no room"):
        fitted(duo_t5, make("duoT5").tokenizer, [("speed " * 9, "sound " * 9, "air " * 9)], 16)


def test_an_encoder_without_a_trained_head_is_refused_unless_it_is_to_be_trained(folders):
    with pytest.raises(InputError, match=r"no trained weights for .*init_dict\.head=new"):
        CrossEncoder(folders["mlm"])
    assert CrossEncoder(folders["mlm"], head="new").score(PAIRS).shape == (4,)


def test_a_classifier_of_two_labels_is_refused_unless_its_head_is_to_be_replaced(folders, tmp_path):
    two = AutoModelForSequenceClassification.from_pretrained(
        folders["cross_encoder"], num_labels=2, ignore_mismatched_sizes=True
    )
    two.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(folders["cross_encoder"]).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"no trained weights for classifier\.bias, classifier\.weight"):
        CrossEncoder(tmp_path)
    assert CrossEncoder(tmp_path, head="new").score(PAIRS).shape == (4,)


def test_a_folder_of_another_architecture_is_refused_in_words(folders):
    with pytest.raises(InputError, match="cannot be loaded as a reranker"):
        RankT5(folders["mlm"])


def test_a_folder_that_is_not_there_is_refused_in_words(tmp_path):
    with pytest.raises(InputError, match="no tokenizer can be loaded"):
        CrossEncoder(tmp_path / "nothing")


def test_an_answer_that_is_not_one_token_is_refused(folders):
    with pytest.raises(InputError, match="must be one known token"):
        RankT5(folders["t5"], answer_token="<extra_id_99>")
    with pytest.raises(InputError, match="the answer 'A' must be one known token"):
        PairwisePrompt(folders["t5"])


@pytest.mark.parametrize(
    ("option", "words"), [({"head": "fresh"}, "init_dict.head"), ({"max_length": 2}, "at least 8")]
)
def test_constructor_arguments_are_checked(folders, option, words):
    with pytest.raises(ValueError, match=words):
        CrossEncoder(folders["cross_encoder"], **option)


def test_a_plain_folder_needs_its_kind(folders):
    with pytest.raises(InputError, match="say its kind, one of cross_encoder"):
        load_reranker(folders["cross_encoder"])
    with pytest.raises(InputError, match="unknown reranker"):
        load_reranker(folders["cross_encoder"], kind="bert")
    assert load_reranker(folders["cross_encoder"], kind="cross_encoder", max_length=32).max_length == 32


def test_a_saved_kind_is_not_taken_for_another(make, tmp_path):
    make("monoT5").save_pretrained(tmp_path)
    with pytest.raises(InputError, match="holds a monoT5 reranker"):
        load_reranker(tmp_path, kind="rankT5")


@pytest.mark.parametrize("damage", ['{"format": 99}', '{"format": 1, "kind": "x", "settings": {}}', "[]"])
def test_a_damaged_description_is_refused(tmp_path, damage):
    (tmp_path / "reranker.json").write_text(damage)
    with pytest.raises(InputError, match=r"reranker\.json"):
        load_reranker(tmp_path)


def test_the_table_of_kinds_is_complete():
    assert set(KINDS) == {"cross_encoder", "rankT5", "monoT5", "duoT5", "pairwise_prompt"}
