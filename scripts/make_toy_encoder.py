"""Makes the embedded tiny encoder ``data/toy/encoder``: ``python scripts/make_toy_encoder.py``.

A WordPiece tokenizer and a two-layer ``BertForMaskedLM`` trained from nothing on the toy passages
and their training questions (never the dev or test questions), in a few minutes on one CPU core.
It exists so that the default configuration runs without a network; it knows some six thousand
words of one small data set and is of no use on other text.

Three choices make it a good start for SPLADE in few steps:

- A question is trained together with its passage, as one pair of segments, so that the everyday
  words of questions and the learned words of passages predict one another.
- Every position is predicted, masked or not. SPLADE reads the logits of unmasked text, and a
  model that has only seen masked positions does not give a word itself back.
- The head's bias is shifted at the end so that a given number of terms per passage is positive.
  Softmax ignores such a shift; the ReLU of SPLADE starts sparse instead of dense.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

TOY = Path(__file__).resolve().parents[1] / "data" / "toy"
sys.path.insert(0, str(TOY.parents[1]))

from splade.files import text_lines, whole_folder  # noqa: E402 - path set above

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MAX_LENGTH = 128


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the tokenizer and the model, shift the bias, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--toy", type=Path, default=TOY, help="the folder make_toy_data.py wrote")
    parser.add_argument("--output", type=Path, default=TOY / "encoder")
    parser.add_argument("--vocabulary", type=int, default=4000)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--masked", type=float, default=0.3, help="share of the positions that are masked")
    parser.add_argument("--kept", type=float, default=0.2, help="weight of the loss at positions left as they are")
    parser.add_argument("--active", type=float, default=100, help="positive terms per passage after the bias shift")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    passages = read_tsv(options.toy / "collection" / "raw.tsv")
    questions = read_tsv(options.toy / "queries" / "train" / "raw.tsv")
    qrels = json.loads((options.toy / "qrels" / "train.json").read_text("utf-8"))
    pairs = [(text, passages[next(iter(qrels[id_]))]) for id_, text in questions.items()]
    tokenizer = make_tokenizer([*passages.values(), *questions.values()], options.vocabulary)
    model = make_model(len(tokenizer), options.hidden)
    train(model, tokenizer, pairs, options)
    shift = shift_bias(model, tokenizer, list(passages.values()), options.active)
    print(f"vocabulary {len(tokenizer)}, {model.num_parameters():,} parameters, bias shifted by {shift:.2f}")
    with whole_folder(options.output) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


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
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
        initializer_range=0.05,
        pad_token_id=0,
    )
    return BertForMaskedLM(config)


def train(
    model: BertForMaskedLM, tokenizer: BertTokenizerFast, pairs: Sequence[tuple[str, str]], options: argparse.Namespace
) -> None:
    """Masked language modelling on (question, passage) pairs, in place."""
    start, batch_size = time.perf_counter(), 32
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=0.01)
    steps = options.epochs * -(-len(pairs) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, total_steps=steps, pct_start=0.1)
    model.train()
    for epoch in range(options.epochs):
        total = 0.0
        for rows in batches(len(pairs), batch_size):
            batch = tokenizer(
                [pairs[row][0] for row in rows],
                [pairs[row][1] for row in rows],
                truncation=True,
                max_length=MAX_LENGTH,
                padding=True,
                return_tensors="pt",
            )
            loss = mlm_loss(model, tokenizer, batch, options.masked, options.kept)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        print(f"epoch {epoch + 1}: loss {total / len(pairs):.3f}, {time.perf_counter() - start:.0f} s", flush=True)


def batches(count: int, size: int) -> Iterator[list[int]]:
    """The numbers below ``count`` in random order, ``size`` at a time."""
    for rows in torch.randperm(count).split(size):
        yield rows.tolist()


def mlm_loss(
    model: BertForMaskedLM, tokenizer: BertTokenizerFast, batch: dict, masked: float, kept: float
) -> torch.Tensor:
    """Cross entropy at masked positions plus ``kept`` times that at all others."""
    inputs = batch["input_ids"]  # [B, L]
    special = torch.isin(inputs, torch.tensor(tokenizer.all_special_ids))
    chosen = (torch.rand(inputs.shape) < masked) & ~special
    hidden = torch.where(chosen, tokenizer.mask_token_id, inputs)
    logits = model(**{**batch, "input_ids": hidden}).logits  # [B, L, V]
    others = ~chosen & ~special
    return cross_entropy(logits[chosen], inputs[chosen]) + kept * cross_entropy(logits[others], inputs[others])


@torch.no_grad()
def shift_bias(model: BertForMaskedLM, tokenizer: BertTokenizerFast, texts: Sequence[str], active: float) -> float:
    """Add one constant to the head's bias so that a text has ``active`` positive terms on average."""
    model.eval()
    pooled = []
    for start in range(0, len(texts), 32):
        batch = tokenizer(
            list(texts[start : start + 32]), truncation=True, max_length=MAX_LENGTH, padding=True, return_tensors="pt"
        )
        logits = model(**batch).logits  # [B, L, V]
        pooled.append(logits.masked_fill(batch["attention_mask"][..., None] == 0, float("-inf")).amax(1))
    flat = torch.cat(pooled).flatten()
    shift = -flat.topk(int(active * len(texts))).values[-1].item()
    model.cls.predictions.bias += shift
    return shift


if __name__ == "__main__":
    main()
