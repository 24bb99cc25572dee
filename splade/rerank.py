"""Rerank the best documents of given runs with a reranker, write the new runs, and evaluate them."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig

from splade.config import command
from splade.data.collections import Collection, open_collection, open_queries
from splade.data.qrels import read_qrels
from splade.evaluation.metrics import check_metrics, evaluate
from splade.evaluation.report import table, write_performance
from splade.evaluation.runs import read_run, write_run
from splade.files import InputError
from splade.mining.teachers import half_precision
from splade.models.rerankers import Reranker, load_reranker
from splade.progress import progress
from splade.records import Qrels, Ranking, Run

logger = logging.getLogger(__name__)


class Job(NamedTuple):
    """One run of one data set to rerank at some depths, everything read but the texts."""

    dataset: str
    name: str
    run: Run
    queries: Collection
    documents: Collection
    qrels: Qrels | None
    source: str  # the run's path


def rerank(cfg: DictConfig) -> dict[str, dict[str, float]]:
    """Write ``out_dir/<dataset>/<run>/<top_k>/`` for every given run; the metrics by that path."""
    depths, metrics = _depths(cfg.rerank.top_k), _metrics(cfg.rerank.metrics)
    jobs = list(_jobs(cfg.rerank))
    reranker = reranker_from(cfg)
    results = {}
    for job in jobs:
        for top_k in depths:
            place = Path(job.dataset, job.name, str(top_k))
            folder = Path(cfg.rerank.out_dir) / place
            with half_precision(reranker, cfg.rerank.fp16):
                run = write_run(folder, rankings(reranker, job, top_k, cfg.rerank.batch_size), tag=reranker.kind)
            logger.info("%s: %d queries reranked to depth %d, in %s", job.source, len(run), top_k, folder)
            if job.qrels is not None and metrics:
                results[str(place)] = evaluate(run, job.qrels, metrics)
                details = {
                    "run": job.source,
                    "top_k": top_k,
                    "reranker": reranker.kind,
                    "settings": reranker.settings(),
                }
                write_performance(folder, results[str(place)], details)
    print(table(results))
    return results


def rankings(reranker: Reranker, job: Job, top_k: int, batch_size: int = 32) -> Iterator[Ranking]:
    """The new ranking of each query of the run: its ``top_k`` best documents and no others, best first.

    Ties stay in the order of the given run.
    """
    for query_id, results in progress(job.run.items(), desc=f"rerank {job.dataset}/{job.name}", unit="query"):
        ids = best(results, top_k)
        query = job.queries[query_id]
        scores = reranker.score([(query, text) for text in job.documents.texts(ids)], batch_size).numpy()
        order = np.argsort(-scores, kind="stable")
        yield Ranking(query_id, [ids[i] for i in order], scores[order])


def best(results: dict[str, float], k: int) -> list[str]:
    """The ids of the ``k`` highest scores, ties in the order written."""
    return sorted(results, key=lambda doc_id: -results[doc_id])[:k]


def reranker_from(cfg: DictConfig) -> Reranker:
    """The trained reranker of ``config.checkpoint_dir``, or the one ``init_dict`` names; on the GPU if there is one.

    ``config.pretrained_no_yamlconfig=true`` chooses the second.
    """
    folder = Path(cfg.checkpoint.dir) / "model"
    if cfg.checkpoint.pretrained:
        reranker: Reranker = instantiate(cfg.reranker)
    elif folder.is_dir():
        reranker = load_reranker(folder)
    else:
        raise InputError(
            f"config.checkpoint_dir={cfg.checkpoint.dir}: there is no trained reranker in {folder}. Train one "
            "(python -m splade.hf_train_reranker), or set config.pretrained_no_yamlconfig=true to use "
            "init_dict.model_type_or_dir as it is"
        )
    return reranker.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def _jobs(settings: DictConfig) -> Iterator[Job]:
    """Every run of ``rerank_runs`` with its data set; InputError where one names what is not there."""
    if not settings.runs:
        raise InputError("rerank_runs is empty: name the runs to rerank, {DATASET: {NAME: path of run.json or TREC}}")
    for dataset, runs in settings.runs.items():
        if dataset not in settings.collections:
            raise InputError(
                f"rerank_runs.{dataset}: rerank_collection has no such data set; it has "
                f"{', '.join(settings.collections) or 'none'}"
            )
        texts = settings.collections[dataset]
        queries, documents = open_queries(texts.queries), open_collection(texts.documents)
        qrels = None if texts.get("qrels") is None else read_qrels(texts.qrels)
        for name, path in runs.items():
            run = read_run(path)
            _known(f"rerank_runs.{dataset}.{name}={path}", run, queries, documents)
            yield Job(dataset, name, run, queries, documents, qrels, str(path))


def _known(address: str, run: Run, queries: Collection, documents: Collection) -> None:
    """Every id of the run has a text, checked before a model loads."""
    found = {doc_id for results in run.values() for doc_id in results}
    for what, ids, collection in (("query", list(run), queries), ("document", sorted(found), documents)):
        missing = np.flatnonzero(collection.find(ids) < 0)
        if missing.size:
            raise InputError(
                f"{address}: {missing.size} of {len(ids)} {what} ids are not in {collection.source}, as "
                f"{ids[missing[0]]!r}: give the texts that the run was made from"
            )


def _depths(top_k: int | ListConfig) -> list[int]:
    depths = [top_k] if isinstance(top_k, int) else list(top_k)
    if not depths or any(not isinstance(depth, int) or depth < 1 for depth in depths):
        raise InputError(f"config.top_k must be a number of at least 1, or a list of such, got {top_k}")
    return depths


def _metrics(names: ListConfig | None) -> list[str]:
    """Metric names of a list or a list of lists, each once."""
    flat: list[str] = []
    for entry in names or []:
        flat += [entry] if isinstance(entry, str) else list(entry)
    try:
        check_metrics(flat)
    except ValueError as error:
        raise InputError(f"config.eval_metric: {error}") from error
    return list(dict.fromkeys(flat))


main = command(rerank)

if __name__ == "__main__":
    main()
