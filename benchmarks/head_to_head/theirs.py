"""Train a SparseEncoder with sentence-transformers' own trainer: `SpladeLoss` over its in-batch loss.

python -m benchmarks.head_to_head.theirs START DATA OUT --weight 4e-3 --steps 120 --batch-size 24 …
"""

import argparse
from pathlib import Path
from typing import Any

from splade.data.examples.examples import Pairs
from splade.data.examples.hard_negatives import HardNegatives


def main() -> None:
    """The command."""
    options = _options()
    from datasets import Dataset
    from sentence_transformers import SparseEncoder, SparseEncoderTrainer, SparseEncoderTrainingArguments
    from sentence_transformers.sparse_encoder.losses import SparseMultipleNegativesRankingLoss, SpladeLoss
    from sentence_transformers.sparse_encoder.modules import SpladePooling, Transformer

    transformer = Transformer(str(options.start), transformer_task="fill-mask", max_seq_length=options.max_length)
    model = SparseEncoder(modules=[transformer, SpladePooling("max")], device="cpu")
    loss = SpladeLoss(
        model,
        SparseMultipleNegativesRankingLoss(model),
        document_regularizer_weight=options.weight,
        query_regularizer_weight=options.weight,
    )
    settings = SparseEncoderTrainingArguments(
        output_dir=str(options.out / "trainer"),
        max_steps=options.steps,
        per_device_train_batch_size=options.batch_size,
        learning_rate=options.lr,
        weight_decay=0.01,
        warmup_steps=options.warmup_steps,
        seed=options.seed,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        logging_steps=10,
        batch_sampler="no_duplicates",
    )
    rows = Dataset.from_dict(_columns(options.data, options.negatives, options.seed))
    SparseEncoderTrainer(model=model, args=settings, train_dataset=rows, loss=loss).train()
    model.save_pretrained(str(options.out / "model"))


def _columns(data: Path, negatives: Path | None, seed: int) -> dict[str, list[str]]:
    """Questions, passages and, where a run is given, a negative of it each, as `splade.train` reads them."""
    import numpy as np

    train = f"{data}:train"
    pairs: Any = Pairs(queries=train, documents=data, qrels=train)
    if negatives:
        pairs = HardNegatives(negatives, queries=train, documents=data, qrels=train, with_teacher=False)
    rng = np.random.default_rng(seed)
    examples: list[Any] = [pairs.example(number, rng) for number in range(len(pairs))]
    names = ("positive", "negative")[: len(examples[0].documents)]
    columns = {name: [one.documents[place].text for one in examples] for place, name in enumerate(names)}
    return {"anchor": [one.query.text for one in examples], **columns}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("start", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weight", type=float, required=True, help="of FLOPS, for queries and for documents")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--max-length", type=int, required=True)
    parser.add_argument("--warmup-steps", type=int, required=True)
    parser.add_argument("--negatives", type=Path, help="a TREC run: one of its passages is each question's negative")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lr", type=float, default=5e-5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
