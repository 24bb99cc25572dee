"""Which weights are best, and what may say so."""

import logging
import math

import pytest
from torch.nn.functional import one_hot

from splade.files import InputError
from splade.records import Text
from splade.training import FullRanking
from splade.training.validation.validation import Best, Validation, ValidationLoss, choose_monitor
from tests.training.toy import TOKENIZER, ToyExamples, ToyRetriever, toy_trainer


class Ranking:
    """Stands in for a full ranking: gives 0.5 for everything."""

    def __call__(self, model, metrics):
        return dict.fromkeys(metrics, 0.5)


def test_only_what_is_better_counts_and_the_rest_is_counted():
    best = Best()
    for step, score in ((1, 0.5), (2, 0.4), (3, 0.5), (4, 0.6)):
        best = best.after(score, step, lower_is_better=False)
        if step == 3:
            assert best == Best(0.5, 1, 2)
    assert best == Best(0.6, 4, 0)


def test_a_loss_is_better_when_lower_and_nan_is_never_better():
    best = Best().after(math.nan, 1, True)
    assert best == Best(None, 0, 1)
    best = best.after(2.0, 2, True).after(math.nan, 3, True).after(1.0, 4, True).after(1.5, 5, True)
    assert best == Best(1.0, 4, 1)


@pytest.mark.parametrize("spelling", ["MRR@10", "mrr_10", "mrr@10"])
def test_both_spellings_of_a_metric_choose_it(spelling):
    monitor = choose_monitor(spelling, ["recall@100", "MRR@10"], has_loss=False, has_ranking=True)
    assert monitor == ("MRR@10", False)


def test_the_loss_is_watched_for_the_lowest():
    assert choose_monitor("loss", [], has_loss=True, has_ranking=False) == ("validation_loss", True)


def test_nothing_monitored_is_no_monitor():
    assert choose_monitor(None, ["MRR@10"], has_loss=True, has_ranking=True) is None


@pytest.mark.parametrize(
    ("name", "words"), [("loss", "VALIDATION_SIZE_FOR_LOSS"), ("MRR@10", "VALIDATION_FULL_RANKING")]
)
def test_a_monitor_that_nothing_measures_is_refused_with_what_to_set(name, words):
    with pytest.raises(InputError, match=words):
        choose_monitor(name, [], has_loss=False, has_ranking=False)


def test_a_monitored_metric_is_measured_though_it_was_not_listed():
    validation = Validation(None, Ranking(), ["recall@100"], "mrr_10")
    assert validation.metrics == ["recall@100", "mrr_10"]
    assert validation.monitor.figure in validation.columns


def test_a_metric_listed_in_the_other_spelling_is_not_measured_twice():
    assert Validation(None, Ranking(), ["MRR@10"], "mrr_10").metrics == ["MRR@10"]


def test_an_unknown_metric_is_refused_before_anything_runs():
    with pytest.raises(ValueError, match="mrrr"):
        Validation(None, Ranking(), ["mrrr_10"], None)


def test_held_out_examples_have_the_same_documents_every_time():
    source = ToyExamples(n_documents=4)
    loss = ValidationLoss(source, held_out=[3, 5, 8], batch_size=2, seed=1)
    batches = list(loss._batches())
    assert batches == list(loss._batches())
    assert [len(batch) for batch in batches] == [2, 1]


class Translating(ToyRetriever):
    """One term per token; its query encoder alone says gold for iron and iron for gold."""

    def __init__(self):
        super().__init__()
        self.vocab_size = len(TOKENIZER)

    def forward(self, side, input_ids, attention_mask):
        iron, gold = TOKENIZER.convert_tokens_to_ids(["iron", "gold"])
        weights = one_hot(input_ids, self.vocab_size).amax(dim=1).float()  # [B, V]
        if side == "query":
            weights[:, [iron, gold]] = weights[:, [gold, iron]]
        weights[:, TOKENIZER.all_special_ids] = 0
        return weights


def test_queries_are_encoded_by_the_query_encoder_and_documents_by_the_other():
    collection = [Text("d1", "gold"), Text("d2", "iron"), Text("d3", "sea")]
    full_ranking = FullRanking(collection, [Text("q1", "iron")], {"q1": {"d1": 1}})
    assert full_ranking(Translating(), ["MRR@10"]) == {"MRR@10": 1.0}


def test_a_validation_that_fails_leaves_the_model_in_the_mode_it_was_in():
    class Failing(ToyRetriever):
        def forward(self, side, input_ids, attention_mask):
            raise MemoryError

    trainer = toy_trainer("nowhere", model=Failing().train())
    with pytest.raises(MemoryError):
        trainer.validation(trainer.model, trainer.optimizer_step.gradient, 0)
    assert trainer.model.training


def test_a_full_ranking_needs_a_judged_query_and_tells_of_missing_ones(caplog):
    queries = [Text("q1", "heat"), Text("q2", "sea")]
    with pytest.raises(InputError, match="none of the queries"):
        FullRanking([], queries, {"q9": {"d": 1}})
    with caplog.at_level(logging.WARNING):
        made = FullRanking([], queries, {"q1": {"d": 1}, "q9": {"d": 1}})
    assert [query.id for query in made.queries] == ["q1"]
    assert "1 of 2 judged queries have no text" in caplog.text
