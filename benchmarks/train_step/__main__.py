"""Time and memory of one optimizer step on triples: this trainer's, a naive one, and sentence-transformers'."""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import naive
from benchmarks.measure import SHAPES, default_tokenizer, in_turn, make_model, sparse_encoder, texts_of
from splade.losses import InBatchPairwiseNLL
from splade.models import Splade
from splade.records import Example, Text
from splade.regularization import FLOPS, ConstantRamp, Penalty
from splade.training.step.objective import Objective
from splade.training.step.optimizer_step import GlobalBatchGradient

FLOPS_WEIGHT = 1e-3


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    texts = passages(texts_of(options.collection, 2 * options.batch_size), 2 * options.batch_size)
    columns = _triples(texts)
    with tempfile.TemporaryDirectory() as temporary:
        tokenizer = options.tokenizer or default_tokenizer()
        folder = make_model(Path(temporary) / "model", options.shape, tokenizer, texts, options.max_length)
        model = Splade(folder, max_length=options.max_length).train()
        mlm, made = model.encoders["document"].mlm, model.tokenizer("document")
        contestants: dict[str, Callable[[], object]] = {
            "ours": _ours(model, columns, None),
            "naive": _stepping(mlm, lambda: naive.step_loss(mlm, made, columns, options.max_length, FLOPS_WEIGHT)),
        }
        if options.micro_batch_size:
            contestants["ours, gradient caching"] = _ours(model, columns, options.micro_batch_size)
        peer = sparse_encoder(folder, options.max_length)
        if peer is not None:
            peer.train()
            contestants["sentence-transformers"] = _theirs(peer, columns, Path(temporary) / "theirs")
            if options.micro_batch_size:
                cached = _theirs(peer, columns, Path(temporary) / "cached", options.micro_batch_size)
                contestants["sentence-transformers, CachedSpladeLoss"] = cached
        print(f"{options.shape}: {options.batch_size} triples, {3 * options.batch_size} texts")
        print("| | seconds a step | texts/s | peak memory, MiB | ours is faster | ours takes less memory |")
        print("|---|---|---|---|---|---|")
        found = in_turn(contestants, options.repetitions)
        best = found["ours"]
        for name, each in found.items():
            print(
                f"| {name} | {each.seconds:.2f} | {3 * options.batch_size / each.seconds:.2f} | {each.peak_mib:.0f} "
                f"| {each.seconds / best.seconds:.2f}× | {each.peak_mib / max(best.peak_mib, 1):.1f}× |"
            )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train_step", description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="distilbert")
    parser.add_argument("--collection", default="data/toy/collection", help="a source of texts, as in config.data")
    parser.add_argument("--batch-size", type=int, default=24, help="triples of a query, a positive and a negative")
    parser.add_argument("--micro-batch-size", type=int, default=0, help="measure gradient caching too, by so many")
    parser.add_argument("--max-length", type=int, default=256)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokenizer", type=Path, help="a folder; by default that of the benchmarks extra")
    return parser.parse_args()


def passages(texts: Sequence[Text], n: int) -> list[Text]:
    """``n`` texts of lengths such as those of web passages (log-normal, 55 words in the middle), cut from ``texts``."""
    words = [word for text in texts for word in text.text.split()]
    lengths = np.random.default_rng(0).lognormal(4.0, 0.45, n).clip(12, 180).astype(int).tolist()
    starts = [(number * len(words)) // n for number in range(n)]
    doubled = words * (1 + max(lengths) // len(words)) + words
    return [
        Text(str(number), " ".join(doubled[start : start + length]))
        for number, (start, length) in enumerate(zip(starts, lengths, strict=True))
    ]


def _triples(texts: Sequence[Text]) -> tuple[list[str], list[str], list[str]]:
    """Queries (a text's first ten words), positives (that text), negatives (others)."""
    half = len(texts) // 2
    positives, negatives = [text.text for text in texts[:half]], [text.text for text in texts[half:]]
    return [" ".join(text.split()[:10]) for text in positives], positives, negatives


def _optimizer(module: torch.nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(module.parameters(), lr=0.0)  # the same work; the weights stay, and with them sparsity


def _ours(model: Splade, columns: Sequence[Sequence[str]], micro_batch_size: int | None) -> Callable[[], object]:
    ramp = ConstantRamp(FLOPS_WEIGHT)
    penalties = [Penalty("FLOPS", side, FLOPS(), ramp) for side in ("query", "document")]
    objective = Objective(InBatchPairwiseNLL(), penalties, in_batch=True, penalty_documents="slot")
    step = GlobalBatchGradient(
        model,
        objective,
        seed=0,
        micro_batch_size=micro_batch_size,
        autocast=nullcontext,
        device=torch.device("cpu"),
    )
    examples = [
        Example(Text(f"q{i}", query), (Text(f"p{i}", positive), Text(f"n{i}", negative)), None)
        for i, (query, positive, negative) in enumerate(zip(*columns, strict=True))
    ]
    optimizer = _optimizer(model)

    def run() -> None:
        step.backward(step.share(examples), batch=0, step=1)
        optimizer.step()
        optimizer.zero_grad()

    return run


def _stepping(module: torch.nn.Module, loss: Callable[[], torch.Tensor]) -> Callable[[], object]:
    optimizer = _optimizer(module)

    def run() -> None:
        loss().backward()
        optimizer.step()
        optimizer.zero_grad()

    return run


def _theirs(
    model: Any, columns: Sequence[Sequence[str]], folder: Path, mini_batch_size: int | None = None
) -> Callable[[], object]:
    """A step of their own trainer: collating (which tokenises), `training_step`, its optimizer.

    ``mini_batch_size`` takes their gradient caching, `CachedSpladeLoss`, by so many texts of a column.
    """
    from datasets import Dataset
    from sentence_transformers import SparseEncoderTrainer, SparseEncoderTrainingArguments
    from sentence_transformers.sparse_encoder import losses

    weights = {"document_regularizer_weight": FLOPS_WEIGHT, "query_regularizer_weight": FLOPS_WEIGHT}
    base = losses.SparseMultipleNegativesRankingLoss(model)
    loss = (
        losses.CachedSpladeLoss(model, base, mini_batch_size=mini_batch_size, **weights)
        if mini_batch_size
        else losses.SpladeLoss(model, base, **weights)
    )
    names = ("anchor", "positive", "negative")
    rows = Dataset.from_dict(dict(zip(names, map(list, columns), strict=True)))
    settings = SparseEncoderTrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=len(rows), use_cpu=True, report_to=[], learning_rate=0.0
    )
    trainer = SparseEncoderTrainer(model=model, args=settings, train_dataset=rows, loss=loss)
    optimizer = trainer.create_optimizer()
    trainer.current_gradient_accumulation_steps = 1  # which its loop would set
    batch = [rows[number] for number in range(len(rows))]

    def run() -> None:
        trainer.training_step(model, trainer.data_collator(batch))
        optimizer.step()
        optimizer.zero_grad()

    return run


if __name__ == "__main__":
    main()
