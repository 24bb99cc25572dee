"""A retriever of a few hundred parameters and examples made on the spot: training in milliseconds."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

from splade.files import whole_folder
from splade.losses import DistilMarginMSE, InBatchPairwiseNLL
from splade.records import Example, Text
from splade.regularization import FLOPS, L1, Penalty, QuadraticRamp
from splade.training import Trainer
from tests.tiny import WORDS, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
TOPICS = WORDS[60:160]


class ToyRetriever(nn.Module):
    """Token embeddings, dropout, a norm, a linear layer to the vocabulary, relu, max over positions."""

    is_sparse = True

    def __init__(self, dropout=0.0, width=8, seed=0, bias=-0.3):
        super().__init__()
        self.vocab_size = 64
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.embedding = nn.Embedding(len(TOKENIZER), width)
            self.norm = nn.LayerNorm(width)
            self.head = nn.Linear(width, self.vocab_size)
        nn.init.constant_(self.head.bias, bias)
        self.dropout = nn.Dropout(dropout)
        self.calls = []

    def forward(self, side, input_ids, attention_mask):
        self.calls.append((side, len(input_ids), torch.is_grad_enabled()))
        logits = self.head(self.norm(self.dropout(self.embedding(input_ids))))  # [B, L, V]
        logits = logits.masked_fill(attention_mask[:, :, None] == 0, -torch.inf)
        return torch.log1p(torch.relu(logits.amax(dim=1)))

    def tokenizer(self, side):
        return TOKENIZER

    def max_length(self, side):
        return 16

    def prompt(self, side):
        return ""

    def save_pretrained(self, folder, *, extra=None):
        with whole_folder(folder) as temporary:
            torch.save(self.state_dict(), temporary / "weights.pt")
            (temporary / "splade.json").write_text(json.dumps(dict(extra or {})))


class ToyExamples:
    """Query i and document i share a word; negatives are drawn; the teacher prefers the positive by 2."""

    def __init__(self, n=24, n_documents=2, teacher=False):
        self.n, self.n_documents, self.has_teacher = n, n_documents, teacher
        self.read = []

    def __len__(self):
        return self.n

    def example(self, index, rng):
        self.read.append(index)
        others = rng.choice(
            [number for number in range(self.n) if number != index], self.n_documents - 1, replace=False
        )
        documents = tuple(document(number) for number in (index, *others))
        scores = (3.0, *[1.0] * (self.n_documents - 1)) if self.has_teacher else None
        return Example(Text(f"q{index}", f"what is {TOPICS[index]}"), documents, scores)


def document(number):
    return Text(f"d{number}", f"the {TOPICS[number]} of the {TOPICS[(number * 7 + 3) % len(TOPICS)]} and more")


def penalties(lambda_q=0.02, lambda_d=0.01, steps=8):
    return [
        Penalty("FLOPS", "query", FLOPS(), QuadraticRamp(lambda_q, steps)),
        Penalty("FLOPS", "document", FLOPS(), QuadraticRamp(lambda_d, steps)),
        Penalty("L1", "query", L1(), QuadraticRamp(lambda_q, steps)),
    ]


def toy_trainer(folder, *, model=None, loss=None, examples=None, **settings):
    """A trainer of 12 steps with dropout, validation by loss and everything else that resuming must restore."""
    chosen = {
        "checkpoint_dir": folder,
        "nb_iterations": 12,
        "train_batch_size": 4,
        "lr": 0.02,
        "warmup_steps": 3,
        "in_batch_negatives": True,
        "validation_loss_examples": 6,
        "monitoring_ckpt": "loss",
        "train_monitoring_freq": 2,
        "record_frequency": 3,
        "tensorboard": False,
    } | settings
    if loss is None:
        loss = InBatchPairwiseNLL() if chosen["in_batch_negatives"] else DistilMarginMSE()
    return Trainer(
        ToyRetriever(dropout=0.2) if model is None else model,
        loss,
        chosen.pop("penalties", penalties()),
        ToyExamples() if examples is None else examples,
        **chosen,
    )


def saved_weights(folder: Path):
    return torch.load(Path(folder) / "weights.pt", weights_only=True)


def state_of(trainer):
    """What the trainer's last checkpoint holds."""
    return torch.load(trainer.last / "state.pt", weights_only=True)


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def rows(folder):
    """The rows of the log, without what depends on the clock."""
    lines = (Path(folder) / "training_log.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "documents_per_second"} for line in lines]


def rng(seed=0):
    return np.random.default_rng(seed)
