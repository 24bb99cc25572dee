"""Settings that are each fine and do not go together; found before anything is built.

Each rule looks at the wired tree and yields sentences: what is wrong, where, and what to do.
"""

from collections.abc import Callable, Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from splade.config.checking.encoding_conflicts import head_vectors, kept_weights, mined_ranks, precision
from splade.config.checking.traits import kind_of, loss_table, losses_of, part_of, says, the_loss
from splade.config.composing.compose import ALTERNATIVES
from splade.config.composing.errors import hint

IN_BATCH = "in_batch_negatives"
MIX_WEIGHTS = "config.loss_weights"
Rule = Callable[[DictConfig], Iterator[str]]


def conflicts(cfg: DictConfig, import_parts: bool = True) -> list[str]:
    """All that the rules say of ``cfg``; without ``import_parts``, those that ask no class of loss, data or model."""
    rules = [rule for rule in RULES if import_parts or rule not in OF_CLASSES]
    return [sentence for rule in rules for sentence in rule(cfg)]


def seeds(cfg: DictConfig) -> Iterator[str]:
    """``config.seed`` and its older name say the same."""
    seed, older = _get(cfg, "config.seed"), _get(cfg, "config.random_seed")
    if seed is not None and older is not None and seed != older:
        yield f"config.seed={seed} and config.random_seed={older} are two names of one setting: remove one of them"


def frozen_documents(cfg: DictConfig) -> Iterator[str]:
    """A frozen document encoder leaves something to train."""
    own_query_encoder = (
        _get(cfg, "init_dict.model_type_or_dir_q")
        or _get(cfg, "hf.model.shared_weights") is False
        or _has_query_encoder(cfg)
    )
    if _get(cfg, "init_dict.freeze_d_model") and not own_query_encoder:
        yield (
            "init_dict.freeze_d_model=true without init_dict.model_type_or_dir_q: with one encoder for both sides "
            "nothing would be trained; give queries an encoder of their own, or remove init_dict.freeze_d_model"
        )


def head_bias(cfg: DictConfig) -> Iterator[str]:
    """``head_bias`` belongs to a tied head."""
    bias, head = _get(cfg, "init_dict.head_bias"), _get(cfg, "init_dict.head", "pretrained")
    if bias is not None and head != "tied_identity":
        yield f"init_dict.head_bias={bias} is only read with init_dict.head=tied_identity, not {head}"


def in_batch_negatives(cfg: DictConfig) -> Iterator[str]:
    """A loss over the positives of a batch and in-batch negatives come together."""
    losses = losses_of(cfg)
    if _get(cfg, "config.hf_training") or not losses:
        return
    needing = [loss for loss in losses if loss.says("needs_in_batch") and loss.says("in_batch_documents") != "all"]
    augmented = _get(cfg, "config.augment_pairs")
    if needing and augmented != IN_BATCH:
        yield (
            f"{needing[0].label} needs config.augment_pairs={IN_BATCH}: set it (loss=in_batch sets both), "
            "or choose config.loss=PairwiseNLL"
        )
    chosen = the_loss(cfg)
    if augmented == IN_BATCH and not needing and chosen is not None and chosen.shipped:
        yield (
            f"config.augment_pairs={IN_BATCH} goes with config.loss=InBatchPairwiseNLL, not {chosen.name}, which looks "
            "at no other query: remove it (~config.augment_pairs), or choose loss=in_batch"
        )


def loss_and_data(cfg: DictConfig) -> Iterator[str]:
    """A loss finds in the data what it takes."""
    source = "hf.data.training_data_type" if _get(cfg, "hf.data.training_data_type") else "data.type"
    data = part_of(cfg, "examples", kind_of(cfg, "data"), source, "the data")
    if data is None:
        return
    for loss in losses_of(cfg):
        if loss.says("needs_teacher") and not data.says("has_teacher"):
            yield (
                f"{loss.label} learns from teacher scores, and {data.label} has none: use triplets_with_distil or "
                "hard_negatives, or a loss without a teacher"
            )
        if loss.says("min_documents") > 1 and not data.says("has_negatives"):
            yield f"{loss.label} needs negatives, and {data.label} has none: choose loss=in_batch, or other data"


def loss_mix(cfg: DictConfig) -> Iterator[str]:
    """A mix names its losses, and each is one of those that the trainer at hand has."""
    mix = the_loss(cfg)
    if mix is None or "weights" not in mix.says("takes"):
        return
    names, accepted = list(_get(cfg, MIX_WEIGHTS) or []), _accepted_losses(cfg)
    if not names:
        yield f"{mix.label} needs {MIX_WEIGHTS}, as {{KlDiv: 1}}"
    for name in names:
        if name not in accepted:
            yield f"{MIX_WEIGHTS}.{name}: no such loss; there are {', '.join(accepted)}{hint(str(name), accepted)}"


def schedule(cfg: DictConfig) -> Iterator[str]:
    """Warm-up ends within the training."""
    if _get(cfg, "config.hf_training"):
        warmup, steps, names = "hf.training.warmup_steps", "hf.training.max_steps", "hf.training.warmup_steps=0"
    else:
        warmup, steps, names = "config.warmup_steps", "config.nb_iterations", "config.warmup_steps=0"
    first, total = _get(cfg, warmup, 0), _get(cfg, steps)
    if total is not None and total > 0 and first > total:
        yield (
            f"{warmup}={first} is more than {steps}={total}: the learning rate would never reach its full value; "
            f"set a shorter warm-up ({names} for none)"
        )


def validation(cfg: DictConfig) -> Iterator[str]:
    """The figure that chooses the best checkpoint, or stops the training early, is one that validation measures."""
    by_loss = bool(_get(cfg, "data.VALIDATION_SIZE_FOR_LOSS"))
    ranked = ("D_COLLECTION_PATH", "BEIR")
    by_ranking = any(_get(cfg, f"data.VALIDATION_FULL_RANKING.{name}") is not None for name in ranked)
    chosen, metrics = _get(cfg, "config.monitoring_ckpt"), list(_get(cfg, "config.validation_metrics", []))
    if _get(cfg, "config.early_stopping") and not (by_loss or by_ranking):
        yield (
            "config.early_stopping=true without validation: set data.VALIDATION_SIZE_FOR_LOSS or "
            "data.VALIDATION_FULL_RANKING (validation=msmarco sets both), or config.early_stopping=false"
        )
    if chosen == "loss" and not by_loss:
        yield "config.monitoring_ckpt=loss needs data.VALIDATION_SIZE_FOR_LOSS, the number of examples held out"
    if chosen not in (None, "loss"):
        if not by_ranking:
            yield (
                f"config.monitoring_ckpt={chosen} needs data.VALIDATION_FULL_RANKING (documents, queries, qrels); "
                "without it choose loss, or null"
            )
        if canonical(chosen) not in map(canonical, metrics):
            near = hint(chosen, ["loss", *metrics])
            yield f"config.monitoring_ckpt={chosen} is not in config.validation_metrics={metrics}{near}"


def vectors_or_texts(cfg: DictConfig) -> Iterator[str]:
    """Vectors that are there already stand in the place of texts."""
    for vectors, texts in ALTERNATIVES.items():
        if _get(cfg, vectors) is not None and _get(cfg, texts) is not None:
            yield (
                f"{vectors}={_get(cfg, vectors)} and {texts}={_get(cfg, texts)} are both given: vectors that are there "
                "already are used as they are, in place of texts; remove one of them"
            )
    if _get(cfg, "data.VECTOR_KEYS") is not None and all(_get(cfg, vectors) is None for vectors in ALTERNATIVES):
        yield f"data.VECTOR_KEYS={_get(cfg, 'data.VECTOR_KEYS')} is only read with {' or '.join(ALTERNATIVES)}"


def query_sets(cfg: DictConfig) -> Iterator[str]:
    """The lists about query sets are of one length."""
    queries = ("data.Q_COLLECTION_PATH", "data.Q_VECTORS_PATH")
    addresses = (*queries, "config.retrieval_name", "data.EVAL_QREL_PATH", "config.eval_metric")
    found = {address: _get(cfg, address) for address in addresses}
    lengths = {address: len(value) for address, value in found.items() if value is not None}
    if len(set(lengths.values())) > 1 and "config.retrieval_name" in lengths:
        sizes = ", ".join(f"{address} {length}" for address, length in lengths.items())
        yield f"one entry per query set is expected in each of these lists, but their lengths are: {sizes}"
    names = list(found["config.retrieval_name"] or [])
    if len(set(names)) < len(names):
        yield f"config.retrieval_name={names}: a name is there twice, and runs would overwrite each other"
    for name in names:
        if name in ("", ".", "..") or set(name) & set("/\\\0"):
            yield f"config.retrieval_name={names}: {name!r} cannot be the name of a folder of config.out_dir"


def regularizers(cfg: DictConfig) -> Iterator[str]:
    """Every penalty has a known measure and a weight."""
    given = _get(cfg, "config.regularizer")
    accepted = list(cfg.catalog.regularizer)
    if given is None or isinstance(given, str):
        return
    for name, own in given.items():
        where = f"config.regularizer.{name}"
        settings = own if isinstance(own, DictConfig) else {}
        if not settings.get("reg") and str(name) not in accepted:
            known = f"there are {', '.join(accepted)}{hint(str(name), accepted)}"
            yield f"{where}: no such regularizer, and no {where}.reg says which; {known}"
        if not isinstance(own, str) and settings.get("lambda_q") is None and settings.get("lambda_d") is None:
            yield (
                f"{where} has neither lambda_q nor lambda_d: give one of them, or write "
                f"{name}: eval_only to measure without penalty"
            )


def canonical(metric: str) -> str:
    """One spelling of a metric's name: ``MRR@10`` and ``mrr_10`` are the same."""
    return str(metric).lower().replace("@", "_").replace("_cut_", "_")


RULES: tuple[Rule, ...] = (
    seeds,
    frozen_documents,
    head_bias,
    in_batch_negatives,
    loss_and_data,
    loss_mix,
    schedule,
    precision,
    mined_ranks,
    kept_weights,
    head_vectors,
    validation,
    vectors_or_texts,
    query_sets,
    regularizers,
)
OF_CLASSES: tuple[Rule, ...] = (frozen_documents, in_batch_negatives, loss_and_data, loss_mix)


def _get(cfg: DictConfig, address: str, default: Any = None) -> Any:
    return OmegaConf.select(cfg, address, default=default)


def _has_query_encoder(cfg: DictConfig) -> bool:
    model = part_of(cfg, "model", "model", "config.matching_type", "the model")
    return model is not None and bool(model.says("own_query_encoder"))


def _accepted_losses(cfg: DictConfig) -> list[str]:
    """The names of the losses that a mix may name: neither mixes themselves nor losses of tokens."""
    paths = {str(name): str(path) for name, path in cfg.catalog[loss_table(cfg)].items()}
    left_out = {name for name, path in paths.items() if says(path, "of_tokens") or "weights" in says(path, "takes")}
    return [name for name in paths if name not in left_out]
