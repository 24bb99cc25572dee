"""The sample of a plan: documents encoded on this machine, or given vectors; and where plans are asked for."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig

from splade.config.words import told_of
from splade.data.collections.opening import open_collection
from splade.data.vectors.shards import Shard
from splade.data.vectors.vectors import open_vectors
from splade.exporting.anserini import term_words
from splade.exporting.models import ModelTarget
from splade.exporting.target import ExportTarget
from splade.files import InputError
from splade.planning import Encoding, Sample
from splade.records import SparseBatch, Text
from splade.results.cost import Meter
from splade.workflow.given_vectors import given_documents, joined

FEWEST = 64  # documents that a plan can be made of
OURS = ("inverted", "dense", "bm25")


def samples_from(cfg: DictConfig) -> list[Sample]:
    """Half the sample, and all of it: the first ``plan.sample`` documents of ``data.VECTORS_PATH``, or those encoded.

    InputError where there are too few to foresee anything.
    """
    whole = _given(cfg) if cfg.index.vectors else None
    halves = _encoded(cfg) if whole is None else [whole.first(whole.n_docs // 2), whole]
    if halves[-1].n_docs < FEWEST:
        raise InputError(
            f"plan.sample={cfg.planning.sample}: {halves[-1].n_docs} documents; a plan wants {FEWEST} at least, and "
            "some thousands to be of use"
        )
    return halves


def _given(cfg: DictConfig) -> Sample:
    documents, wanted = given_documents(open_vectors(cfg.index.vectors, cfg.index.vector_keys)), cfg.planning.sample
    held: list[SparseBatch] = []
    for batch in documents.batches(0):
        held.append(batch)
        if sum(len(each.ids) for each in held) >= wanted:
            break
    vectors = joined(held)
    terms = None if documents.vocabulary is None else list(documents.vocabulary)
    width = max(vectors.vocab_size, len(terms or ()))
    words = term_words(terms, width) if terms is not None else [str(term) for term in range(width)]
    return Sample(vectors._replace(vocab_size=width), [""] * len(vectors.ids), terms, words).first(wanted)


def _encoded(cfg: DictConfig) -> list[Sample]:
    """Half the sample and all of it, encoded one after the other; what is loaded at first is not counted."""
    from splade.workflow.encoding import encoder_from
    from splade.workflow.exported.models import model_from

    texts = list(islice(open_collection(cfg.index.collection), cfg.planning.sample))
    encoder = encoder_from(cfg, model_from(cfg), "document")
    encoder.encode_all(texts[: encoder.batch_size])

    def part(chosen: Sequence[Text]) -> tuple[SparseBatch, dict[str, Any]]:
        with Meter() as meter:
            vectors = encoder.encode_all(chosen)
        return vectors, meter.told()

    middle = len(texts) // 2
    (one, cost), (other, more) = part(texts[:middle]), part(texts[middle:])
    costs = [
        Encoding(seconds, each["peak_memory_mb"], each.get("peak_gpu_memory_mb"))
        for seconds, each in ((cost["seconds"], cost), (cost["seconds"] + more["seconds"], more))
    ]
    terms = encoder.terms
    whole = Sample(joined([one, other]), [text.text for text in texts], terms, term_words(terms, len(terms)), costs[1])
    return [whole.first(middle, costs[0]), whole]


def write_shard(sample: Sample, folder: Path) -> Path:
    """The folder of ``sample`` as one shard in ``folder``, as `splade.encode` writes it."""
    from splade.encoding.shards import ShardWriter

    writer = ShardWriter(folder, Shard(1, 1), {}, list(sample.terms or ()))
    writer.add(sample.vectors)
    writer.finish()
    return writer.path


def targets_in(cfg: DictConfig) -> dict[str, ExportTarget | str]:
    """Every target of ``catalog.export`` that writes vectors; the reason in place of one that cannot be made."""
    found: dict[str, Any] = {}
    for name, node in cfg.catalog.export.items():
        try:
            found[str(name)] = instantiate(node if isinstance(node, DictConfig) else {"_target_": node})
        except Exception as error:  # Hydra wraps whatever a constructor raises
            told = told_of(error)
            if told is None:
                raise
            found[str(name)] = told
    return {name: made for name, made in found.items() if not isinstance(made, ModelTarget)}


def other_engines(cfg: DictConfig) -> list[str]:
    """The engines of the catalog that keep vectors in a form of their own."""
    return [str(name) for name in cfg.catalog.engine if name not in OURS]
