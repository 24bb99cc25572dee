"""Makes the embedded tiny encoder ``data/toy/encoder``: ``python scripts/make_toy_encoder.py``.

A WordPiece tokenizer and a two-layer ``BertForMaskedLM`` trained from nothing on the toy passages
and their training questions (never the dev or test questions), in two minutes on one CPU core.
It exists so that the default configuration runs without a network; it has read thirty thousand
words of one small data set and is of no use on other text.

Four choices make it a good start for SPLADE in few steps:

- Word embeddings start as a sum of three unit vectors: a random one, which keeps words apart; one
  from the singular vectors of co-occurrence in a passage and its questions; and one from letter
  n-grams, so that *cloud* and *clouds* start close. Thirty thousand words are too few to learn this.
- A question is trained together with its passage, as one pair, so that the everyday words of
  questions and the learned words of passages predict one another.
- Positions are predicted whether masked or not. SPLADE reads the logits of unmasked text, and a
  model that has only seen masked positions does not give a word itself back.
- At the end, the log frequency of each word is taken out of the head's bias, which turns the
  model's log p(word | text) into pointwise mutual information: rare, telling words rise and
  function words fall. One constant is then added so that a given number of terms per passage is
  positive: the ReLU of SPLADE starts sparse.
"""

import argparse
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize
from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

TOY = Path(__file__).resolve().parents[1] / "data" / "toy"
sys.path.insert(0, str(TOY.parents[1]))

from splade.files import text_lines, whole_folder  # noqa: E402 - path set above

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # ids 0 to 4
MAX_LENGTH = 128
BATCH_SIZE = 32


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the tokenizer and the model, set the bias, save."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    passages = read_tsv(options.toy / "collection" / "raw.tsv")
    questions = read_tsv(options.toy / "queries" / "train" / "raw.tsv")
    qrels = json.loads((options.toy / "qrels" / "train.json").read_text("utf-8"))
    answers = {query_id: next(iter(judged)) for query_id, judged in qrels.items()}
    texts = [*passages.values(), *questions.values()]
    tokenizer = make_tokenizer(texts, options.vocabulary)
    model = make_model(len(tokenizer), options.hidden)
    together = {passage_id: [text] for passage_id, text in passages.items()}
    for query_id, text in questions.items():
        together[answers[query_id]].append(text)
    embed(model, tokenizer, list(together.values()))
    train(model, tokenizer, [(text, passages[answers[id_]]) for id_, text in questions.items()], options)
    set_bias(model, tokenizer, texts, list(passages.values()), options.active)
    model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = options.dropout
    print(f"vocabulary {len(tokenizer)}, {model.num_parameters():,} parameters")
    with whole_folder(options.output) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--toy", type=Path, default=TOY, help="the folder make_toy_data.py wrote")
    parser.add_argument("--output", type=Path, default=TOY / "encoder")
    parser.add_argument("--vocabulary", type=int, default=3000, help="small enough to split rare words into stems")
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--masked", type=float, default=0.3, help="share of the positions that are masked")
    parser.add_argument("--kept", type=float, default=0.2, help="weight of the loss at positions left as they are")
    parser.add_argument("--active", type=float, default=120, help="positive terms per passage at the start")
    parser.add_argument("--dropout", type=float, default=0.2, help="saved for fine-tuning (0.1 in this training)")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


def read_tsv(path: Path) -> dict[str, str]:
    """Text by id."""
    return dict(line.split("\t", 1) for _, line in text_lines(path))


def make_tokenizer(texts: Sequence[str], size: int) -> BertTokenizerFast:
    """A lower-casing WordPiece tokenizer trained on the texts, as BERT's in all else."""
    wordpiece = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    wordpiece.normalizer = normalizers.BertNormalizer(lowercase=True)
    wordpiece.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    wordpiece.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=size, special_tokens=list(SPECIAL), show_progress=False)
    )
    cls, sep = wordpiece.token_to_id("[CLS]"), wordpiece.token_to_id("[SEP]")
    wordpiece.post_processor = processors.BertProcessing(("[SEP]", sep), ("[CLS]", cls))
    return BertTokenizerFast(tokenizer_object=wordpiece, do_lower_case=True, model_max_length=MAX_LENGTH)


def make_model(vocabulary: int, hidden: int) -> BertForMaskedLM:
    """Two layers; head tied to the embeddings."""
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=2 * hidden,
        max_position_embeddings=MAX_LENGTH,
        initializer_range=0.05,
        pad_token_id=0,
    )
    return BertForMaskedLM(config)


@torch.no_grad()
def embed(model: BertForMaskedLM, tokenizer: BertTokenizerFast, groups: Sequence[Sequence[str]]) -> None:
    """Set the word embeddings to unit vectors of chance, company and letters."""
    size, hidden = len(tokenizer), model.config.hidden_size
    random = normalize(torch.randn(size, hidden), dim=1)
    company = normalize(cooccurrence_vectors(tokenizer, groups, hidden), dim=1)
    letters = normalize(letter_vectors(tokenizer.convert_ids_to_tokens(range(size)), hidden), dim=1)
    words = normalize(random + company, dim=1)
    model.bert.embeddings.word_embeddings.weight.copy_(normalize(3**0.5 * words + letters, dim=1))


def cooccurrence_vectors(tokenizer: BertTokenizerFast, groups: Sequence[Sequence[str]], hidden: int) -> Tensor:
    """Singular vectors of positive pointwise mutual information; two terms meet in a group of texts. [V, hidden]"""
    present = torch.zeros(len(groups), len(tokenizer))  # [groups, V]
    for row, texts in enumerate(groups):
        for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]:
            present[row, ids] = 1.0
    together = present.T @ present  # [V, V]
    counts = present.sum(0).clamp_min(1)
    information = (together * len(groups) / torch.outer(counts, counts)).clamp_min(1e-9).log().clamp_min(0)
    information *= together / (together + 1)  # one meeting may be chance
    left, strength, _ = torch.svd_lowrank(information, q=hidden, niter=4)
    rotation = torch.linalg.qr(torch.randn(hidden, hidden))[0]  # no axis is special to the layers above
    return (left * strength.sqrt()) @ rotation


def letter_vectors(terms: Sequence[str], hidden: int) -> Tensor:
    """A random projection of each term's n-grams of 3 to 6 letters, the rarer the heavier. [V, hidden]"""
    grams = [letter_grams(term) for term in terms]
    frequency = Counter(gram for found in grams for gram in found)
    column = {gram: number for number, gram in enumerate(frequency)}
    directions = torch.randn(len(column), hidden)
    vectors = torch.randn(len(terms), hidden)  # kept by terms too short to have an n-gram
    for row, found in enumerate(grams):
        if found:
            weights = torch.tensor([math.log(len(terms) / frequency[gram]) for gram in found])
            vectors[row] = weights @ directions[[column[gram] for gram in found]]
    return vectors


def letter_grams(term: str) -> list[str]:
    """``<cloud`` gives ``<cl``, ``clo`` and so on; ``<`` marks the start of a word; special tokens have none."""
    if term in SPECIAL:
        return []
    marked = term[2:] if term.startswith("##") else "<" + term
    return sorted({marked[start : start + n] for n in range(3, 7) for start in range(len(marked) - n + 1)})


def train(
    model: BertForMaskedLM, tokenizer: BertTokenizerFast, pairs: Sequence[tuple[str, str]], options: argparse.Namespace
) -> None:
    """Masked language modelling on (question, passage) pairs, in place."""
    start = time.perf_counter()
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=0.01)
    steps = options.epochs * math.ceil(len(pairs) / BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, total_steps=steps, pct_start=0.1)
    model.train()
    for epoch in range(options.epochs):
        total = 0.0
        for rows in batches(len(pairs)):
            batch = encode(tokenizer, *zip(*(pairs[row] for row in rows), strict=True))
            loss = mlm_loss(model, batch, options.masked, options.kept)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        print(f"epoch {epoch + 1}: loss {total / len(pairs):.3f}, {time.perf_counter() - start:.0f} s", flush=True)


def batches(count: int) -> Iterator[list[int]]:
    """The numbers below ``count`` in random order, ``BATCH_SIZE`` at a time."""
    for rows in torch.randperm(count).split(BATCH_SIZE):
        yield rows.tolist()


def encode(tokenizer: BertTokenizerFast, *texts: Sequence[str]) -> dict[str, Tensor]:
    """Padded tensors of texts, or of pairs of texts."""
    lists = [list(part) for part in texts]
    return tokenizer(
        *lists,
        truncation=True,
        max_length=MAX_LENGTH,
        padding=True,
        return_token_type_ids=False,  # as SPLADE will read each text: alone, of type 0
        return_tensors="pt",
    ).data


def mlm_loss(model: BertForMaskedLM, batch: Mapping[str, Tensor], masked: float, kept: float) -> Tensor:
    """Cross entropy at masked positions plus ``kept`` times that at a sample of the others."""
    inputs = batch["input_ids"]  # [B, L]
    special = inputs < len(SPECIAL)
    chosen = (torch.rand(inputs.shape) < masked) & ~special
    others = (torch.rand(inputs.shape) < masked) & ~special & ~chosen
    hidden = model.bert(**{**batch, "input_ids": inputs.masked_fill(chosen, SPECIAL.index("[MASK]"))})[0]
    at_chosen, at_others = model.cls(hidden[chosen]), model.cls(hidden[others])  # [positions, V]
    return cross_entropy(at_chosen, inputs[chosen]) + kept * cross_entropy(at_others, inputs[others])


@torch.no_grad()
def set_bias(
    model: BertForMaskedLM, tokenizer: BertTokenizerFast, texts: Sequence[str], passages: Sequence[str], active: float
) -> None:
    """Take log frequency in ``texts`` out of the bias; give ``passages`` ``active`` positive terms on average."""
    count = torch.ones(len(tokenizer))
    for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]:
        count[list(set(ids))] += 1
    bias = model.cls.predictions.bias
    bias -= (count / count.sum()).log()
    model.eval()
    pooled = []
    for start in range(0, len(passages), BATCH_SIZE):
        batch = encode(tokenizer, passages[start : start + BATCH_SIZE])
        logits = model(**batch).logits  # [B, L, V]
        pooled.append(logits.masked_fill(batch["attention_mask"][..., None] == 0, float("-inf")).amax(1))
    bias -= torch.cat(pooled).flatten().topk(int(active * len(passages))).values[-1]


if __name__ == "__main__":
    main()
