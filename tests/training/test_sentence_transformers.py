"""An oracle: Sentence Transformers' loss and gradient for a batch, `SpladeLoss` over its in-batch loss, and ours."""

import json

import pytest
import torch

from splade.losses import InBatchPairwiseNLL
from splade.models import Splade, save_retriever
from splade.records import Example, Text
from splade.regularization import FLOPS, ConstantRamp, Penalty
from splade.training import Trainer
from tests.tiny import WORDS, tiny_mlm

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs

PAIRS = [(" ".join(WORDS[n : n + 3]), " ".join(WORDS[n + 2 : n + 9 + n % 5])) for n in range(0, 60, 10)]


class Given:
    """The pairs, each query with its document."""

    has_teacher, n_documents = False, 1

    def __len__(self):
        return len(PAIRS)

    def example(self, index, rng):
        query, document = PAIRS[index]
        return Example(Text(f"q{index}", query), (Text(f"d{index}", document),), None)


@pytest.mark.parametrize(("lambda_q", "lambda_d"), [(0.0, 0.0), (0.3, 0.02)])
def test_a_batch_has_their_loss_and_gradient(tmp_path, lambda_q, lambda_d):
    st = pytest.importorskip("sentence_transformers")  # seconds that collecting this test need not take
    losses = pytest.importorskip("sentence_transformers.sparse_encoder.losses")
    folder = tiny_mlm(tmp_path / "mlm")
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config))

    model = Splade(str(folder), max_length=32)
    sides = {"query": lambda_q, "document": lambda_d}
    trainer = Trainer(
        model,
        InBatchPairwiseNLL(),
        [Penalty("FLOPS", side, FLOPS(), ConstantRamp(weight)) for side, weight in sides.items()],
        Given(),
        checkpoint_dir=tmp_path / "run",
        nb_iterations=1,
        train_batch_size=len(PAIRS),
        lr=1e-3,
        in_batch_negatives=True,
        tensorboard=False,
    )
    model.train()
    step = trainer.optimizer_step.gradient
    logged = step.backward(step.share([Given().example(n, None) for n in range(len(PAIRS))], 0), batch=0, step=0).logged

    save_retriever(model, tmp_path / "saved")
    there = st.SparseEncoder(str(tmp_path / "saved"), device="cpu").train()
    loss = losses.SpladeLoss(
        there,
        losses.SparseMultipleNegativesRankingLoss(there),
        document_regularizer_weight=lambda_d,
        query_regularizer_weight=lambda_q,
    )
    read = getattr(there, "preprocess", None) or there.tokenize
    parts = loss([read(list(texts)) for texts in zip(*PAIRS, strict=True)], None)
    sum(parts.values()).backward()

    assert logged["loss"] == pytest.approx(float(parts["base_loss"]), rel=1e-4)
    assert logged["total"] == pytest.approx(float(sum(parts.values())), rel=1e-4)
    own = {name: p.grad for name, p in model.encoders["document"].named_parameters() if p.grad is not None}
    theirs = {name: p.grad for name, p in there.named_parameters() if p.grad is not None}
    assert len(own) == len(theirs) > 10
    for name, gradient in own.items():
        match = [other for other in theirs if other.endswith(name.removeprefix("mlm."))]
        assert len(match) == 1, name
        torch.testing.assert_close(theirs[match[0]], gradient, rtol=1e-3, atol=1e-5, msg=name)
