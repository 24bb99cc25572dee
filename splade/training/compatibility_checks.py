"""Checks that the parts of a training fit each other, made before anything runs."""

import logging
from collections.abc import Iterable

from splade.data.examples.examples import ExampleSource
from splade.files import InputError
from splade.losses.scores import Needs
from splade.models import Retriever
from splade.regularization.penalties import Penalty
from splade.training.distributed.processes import check_enough
from splade.training.step.settings import TrainingSettings

logger = logging.getLogger(__name__)


def check_loss(loss: Needs, examples: ExampleSource, in_batch_negatives: bool) -> None:
    """InputError where the loss needs what the examples or the settings do not give; a warning for the reverse."""
    name = type(loss).__name__
    if loss.needs_teacher and not examples.has_teacher:
        raise InputError(
            f"config.loss={name} needs teacher scores and {type(examples).__name__} has none: use "
            "data.type=triplets_with_distil or hard_negatives, or a loss without a teacher (InBatchPairwiseNLL)"
        )
    if loss.needs_in_batch and not in_batch_negatives and loss.in_batch_documents == "positives":
        raise InputError(f"config.loss={name} scores in-batch negatives: set config.augment_pairs=in_batch_negatives")
    if examples.n_documents < loss.min_documents:
        raise InputError(
            f"config.loss={name} needs {loss.min_documents} documents per query, {type(examples).__name__} gives "
            f"{examples.n_documents}: use data with negatives, or InBatchPairwiseNLL"
        )
    if in_batch_negatives and not loss.needs_in_batch:
        logger.warning(
            "config.augment_pairs=in_batch_negatives has no effect: config.loss=%s looks at no other query's documents",
            name,
        )


def name_terms(penalties: Iterable[Penalty], model: Retriever) -> None:
    """Tell penalties that know terms by their tokens which numbers these have in ``model``."""
    for each in penalties:
        if hasattr(each.measure, "for_vocabulary"):
            each.measure.for_vocabulary(model.tokenizer("document").get_vocab(), model.vocab_size)


def check_early_stopping(settings: TrainingSettings) -> None:
    """InputError where early stopping is asked for and no figure could tell it to stop."""
    if settings.early_stopping and not settings.monitoring_ckpt:
        raise InputError(
            "config.early_stopping=true needs config.monitoring_ckpt, the figure to watch (loss, or one of "
            "config.validation_metrics)"
        )


def check_processes(settings: TrainingSettings, n_processes: int) -> None:
    """InputError where there are more processes than examples in a global batch; otherwise shares differ by one."""
    check_enough(settings.train_batch_size, "examples")
    if settings.fsdp and settings.fp16:
        raise InputError("config.fsdp=true goes with float32 or config.bf16=true, not with config.fp16=true")
    if settings.fsdp and n_processes == 1:
        logger.warning("config.fsdp=true has no effect on one process: start several, as in torchrun")
