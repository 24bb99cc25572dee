"""The embedded tiny encoder: a sparse, lexical start for SPLADE, made by a script that runs anywhere."""

import json
import runpy
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

ROOT = Path(__file__).resolve().parents[2]
TOY = ROOT / "data" / "toy"


@pytest.fixture(scope="module")
def script() -> dict:
    """The names of scripts/make_toy_encoder.py."""
    return runpy.run_path(str(ROOT / "scripts" / "make_toy_encoder.py"))


@pytest.fixture(scope="module")
def passages(script) -> dict[str, str]:
    """Passage texts by id."""
    return script["read_tsv"](TOY / "collection" / "raw.tsv")


@pytest.fixture(scope="module")
def logits(passages) -> torch.Tensor:
    """The largest logit of each term over each of the first 80 passages, [80, V]."""
    tokenizer = AutoTokenizer.from_pretrained(TOY / "encoder")
    model = AutoModelForMaskedLM.from_pretrained(TOY / "encoder").eval()
    batch = tokenizer(list(passages.values())[:80], padding=True, return_tensors="pt", return_token_type_ids=False)
    with torch.no_grad():
        every = model(**batch).logits  # [80, L, V]
    return every.masked_fill(batch["attention_mask"][..., None] == 0, float("-inf")).amax(1)


def test_no_passage_is_cut_or_holds_an_unknown_word(passages):
    tokenizer = AutoTokenizer.from_pretrained(TOY / "encoder")
    rows = tokenizer(list(passages.values()))["input_ids"]
    assert max(map(len, rows)) <= tokenizer.model_max_length
    assert not any(tokenizer.unk_token_id in row for row in rows)


def test_passages_start_sparse_and_none_is_empty(logits):
    terms = (logits > 0).sum(1).float()
    assert 80 < terms.mean() < 160
    assert terms.min() > 20


def test_positive_terms_are_mostly_words_of_the_passage_itself(passages, logits):
    tokenizer = AutoTokenizer.from_pretrained(TOY / "encoder")
    shares = []
    for text, row in zip(list(passages.values())[:80], logits, strict=True):
        own = set(tokenizer(text)["input_ids"])
        best = row.topk(20).indices.tolist()
        shares.append(sum(term in own for term in best) / 20)
    assert sum(shares) / len(shares) > 0.5


def test_letter_grams_mark_the_start_of_a_word_and_skip_special_tokens(script):
    assert script["letter_grams"]("fox") == ["<fo", "<fox", "fox"]
    assert script["letter_grams"]("##oxes") == ["oxe", "oxes", "xes"]
    assert script["letter_grams"]("[MASK]") == []


def test_words_that_share_letters_and_texts_that_share_words_get_close_vectors(script):
    torch.manual_seed(0)
    cloud, clouds, train = torch.nn.functional.normalize(
        script["letter_vectors"](["cloud", "clouds", "train"], 256), dim=1
    )
    assert cloud @ clouds > 0.5 > cloud @ train


def test_the_script_makes_a_loadable_encoder_from_a_small_collection(script, tmp_path, capsys):
    for folder, rows in (
        ("collection", ["a\tThe physician saw the cardiac patient.", "b\tAn automobile needs petrol."]),
        ("queries/train", ["q1\twho treats the heart", "q2\twhat does a car burn"]),
    ):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "raw.tsv").write_text("\n".join(rows) + "\n", "utf-8")
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "train.json").write_text(json.dumps({"q1": {"a": 1}, "q2": {"b": 1}}), "utf-8")
    threads = torch.get_num_threads()
    try:
        small = ["--vocabulary", "90", "--hidden", "16", "--epochs", "1", "--active", "5"]
        script["main"](["--toy", str(tmp_path), "--output", str(tmp_path / "encoder"), *small])
    finally:
        torch.set_num_threads(threads)
    assert "parameters" in capsys.readouterr().out
    model = AutoModelForMaskedLM.from_pretrained(tmp_path / "encoder")
    assert model.config.vocab_size == len(AutoTokenizer.from_pretrained(tmp_path / "encoder"))
