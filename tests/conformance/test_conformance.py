"""The checks of one's own parts pass for right parts and tell in words what a wrong one breaks."""

from pathlib import Path

import numpy as np
import pytest
import torch

from splade.conformance import (
    check_export_target,
    check_loss,
    check_model,
    check_penalty,
    check_reader,
    check_strategy,
)
from splade.exporting.anserini import Anserini
from splade.exporting.target import Written
from splade.losses import Contrastive, InBatchPairwiseNLL, KlDiv, Loss, PairwiseNLL, ScoreAwareInBatchNLL
from splade.models import Splade
from splade.records import Text
from splade.regularization import FLOPS, L0, L1, AntiCollapse, DocumentFrequencyFLOPS
from splade.search.strategies.approximate import Approximate
from splade.search.strategies.blocked import BlockMax
from tests.tiny import tiny_mlm


@pytest.mark.parametrize(
    "loss",
    [PairwiseNLL(), KlDiv(), InBatchPairwiseNLL(), Contrastive(), Contrastive(True), ScoreAwareInBatchNLL()],
    ids=repr,
)
def test_losses_of_the_package_keep_the_contract(loss):
    check_loss(loss)


class Greedy(Loss):
    """Takes the teacher without saying so."""

    def value(self, scores):
        return (scores.group - scores.teacher).square().mean()


class Detached(Loss):
    def value(self, scores):
        return scores.group.detach().mean()


class Ordered(Loss):
    def value(self, scores):
        return (scores.group * torch.arange(scores.group.shape[1])).mean()


class PerQuery(Loss):
    def value(self, scores):
        return scores.group.mean(dim=1)


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        (Greedy(), r"Greedy of . documents per query failed on the scores that it says it needs"),
        (Detached(), "has no gradient"),
        (Ordered(), "depends on the order of the negatives"),
        (PerQuery(), r"gave shape \(4,\), not one number"),
    ],
)
def test_a_wrong_loss_is_told_of(loss, told):
    with pytest.raises(AssertionError, match=told):
        check_loss(loss)


@pytest.mark.parametrize("measure", [FLOPS(), L1(), L0(), AntiCollapse(), DocumentFrequencyFLOPS()], ids=type)
def test_penalties_of_the_package_keep_the_contract(measure):
    check_penalty(measure)


@pytest.mark.parametrize(
    ("measure", "told"),
    [
        (lambda vectors: -vectors.sum(), "a penalty is at least 0"),
        (lambda vectors: (vectors != 0).float().sum(), "monitor = True"),
        (lambda vectors: (vectors.float() / vectors.float().sum(dim=1, keepdim=True)).sum(), "not a finite number"),
        (lambda vectors: vectors.float()[1].sum(), "depends on the order of the vectors"),
    ],
)
def test_a_wrong_penalty_is_told_of(measure, told):
    with pytest.raises(AssertionError, match=told):
        check_penalty(measure)


class Unpadded(Splade):
    """Lets the length of the batch into its vectors."""

    def refine(self, side, weights, input_ids, attention_mask):
        return weights + attention_mask.shape[1]


class Forgetful(Splade):
    """Does not save its own argument."""

    def __init__(self, model_type_or_dir, *, scale=1.0, **options):
        super().__init__(model_type_or_dir, **options)
        self.scale = scale

    def refine(self, side, weights, input_ids, attention_mask):
        return weights * self.scale


class Remembering(Forgetful):
    def settings(self):
        return {**super().settings(), "scale": self.scale}


def test_a_model_keeps_the_contract_or_is_told_of(tmp_path):
    mlm = tiny_mlm(tmp_path / "mlm", hidden=8, layers=1)
    check_model(Splade(mlm))
    check_model(Remembering(mlm, scale=2.0))
    with pytest.raises(AssertionError, match="depend on the other texts of the batch"):
        check_model(Unpadded(mlm))
    with pytest.raises(AssertionError, match=r"once saved and loaded; what does settings\(\) lack"):
        check_model(Forgetful(mlm, scale=2.0))


class Brute:
    """All scores, by NumPy."""

    bias = 0.0

    def __init__(self, index):
        self.rows = index.vectors(np.arange(index.n_docs))
        self.n_docs, self.n_terms = index.n_docs, index.vocab_size

    def __call__(self, work):
        work.counts[:] = -1
        documents = np.repeat(np.arange(self.n_docs), np.diff(self.rows.offsets))
        for query in range(work.first, work.last):
            part = slice(*work.queries.offsets[query : query + 2])
            weights = np.zeros(self.n_terms, np.float32)
            weights[work.queries.columns[part]] = work.queries.weights[part]
            products = self.rows.weights * weights[self.rows.columns]
            scores = np.bincount(documents, products, self.n_docs).astype(np.float32)
            self.keep(work, query, scores)

    def keep(self, work, query, scores):
        work.keep(query, scores)


class Off(Brute):
    def keep(self, work, query, scores):
        work.keep(query, scores * 1.01)


class Reversed(Brute):
    """Ties are broken the other way."""

    def keep(self, work, query, scores):
        ranked = scores + np.linspace(0, 1e-5, len(scores), dtype=np.float32) * (scores > 0)
        work.keep(query, ranked)


class Unfiltered(Brute):
    def keep(self, work, query, scores):
        work._replace(allowed=np.zeros(0, np.uint8)).keep(query, scores)


def test_a_strategy_keeps_the_contract_or_is_told_of():
    check_strategy(Brute)
    check_strategy(BlockMax)
    check_strategy(Approximate, at_least=0.9, recall=0.95)
    for wrong, told in ((Off, "has score"), (Reversed, "smaller document number"), (Unfiltered, "allowed")):
        with pytest.raises(AssertionError, match=told):
            check_strategy(wrong)


def titles(path):
    with Path(path).open(encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            yield Text(f"t{number}", line.strip())


def same_ids(path):
    yield from (Text("one", "a"), Text("one", "b"))


def pairs(path):
    yield ("one", "a")


seen = []


def changing(path):
    seen.append(path)
    yield Text(str(len(seen)), "a")


def test_a_reader_keeps_the_contract_or_is_told_of(tmp_path):
    (tmp_path / "titles.txt").write_text("Honey\nEngines\n")
    check_reader(titles, tmp_path / "titles.txt")
    for wrong, told in (
        (same_ids, "has the id 'one', which another has"),
        (pairs, "a reader yields splade.records.Text"),
        (changing, "reads other texts the second time"),
    ):
        with pytest.raises(AssertionError, match=told):
            check_reader(wrong, tmp_path / "titles.txt")


class Half(Anserini):
    """Writes line by line, so that an error leaves half a file."""

    def write_documents(self, folder, documents, words):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "half.txt").open("w") as stream:
            for batch, _ in documents:
                stream.write(" ".join(batch.ids))
        return Written(3, 1)


class Uncounted(Anserini):
    def write_queries(self, folder, queries, words):
        super().write_queries(folder, queries, words)


def test_an_export_target_keeps_the_contract_or_is_told_of(tmp_path):
    check_export_target(Anserini(), tmp_path / "right")
    with pytest.raises(AssertionError, match=r"Half left \['half.txt'\] of documents behind an error"):
        check_export_target(Half(), tmp_path / "half")
    with pytest.raises(AssertionError, match=r"tells None of 3 queries, of which one has no terms"):
        check_export_target(Uncounted(), tmp_path / "uncounted")
