"""Rerank the best documents of given runs with a reranker, write the new runs, and evaluate them."""

import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig

from splade.config import command
from splade.data.collections.collection import Collection
from splade.data.collections.opening import open_collection, open_queries
from splade.data.qrels import read_qrels
from splade.data.vectors.shards import Stored
from splade.evaluation.conventions import SelfMatches
from splade.evaluation.measured import measured
from splade.evaluation.metrics import check_metrics
from splade.evaluation.report import stored_facts, table
from splade.evaluation.runs import read_run, write_run
from splade.files import InputError, read_json, write_json
from splade.mining.negatives import state_of
from splade.mining.pieces import Pieces
from splade.mining.teachers import about_reranker, half_precision
from splade.models.backbones.devices import own_device
from splade.models.rerankers import Reranker, load_reranker
from splade.progress import progress
from splade.records import Qrels, Ranking, Run
from splade.results import write_result
from splade.workflow.costs import write_conditions
from splade.workflow.evaluating.conventions import conventions_of

logger = logging.getLogger(__name__)

PAIRS = 4096  # of a query and a document, that are scored between two writes


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
    jobs, rules = list(_jobs(cfg.rerank)), conventions_of(cfg.get("conventions"))
    reranker = reranker_from(cfg)
    scored_by = {"reranker": about_reranker(reranker, cfg.rerank.fp16)}
    results = {}
    for job in jobs:
        about = scored_by | _about(job)
        for top_k in depths:
            place = Path(job.dataset, job.name, str(top_k))
            folder = Path(cfg.rerank.out_dir) / place
            with half_precision(reranker, cfg.rerank.fp16):
                run = reranked(reranker, job, top_k, folder, about, cfg.rerank.batch_size)
            logger.info("%s: %d queries reranked to depth %d, in %s", job.source, len(run), top_k, folder)
            if job.qrels is not None and metrics:
                own = SelfMatches(rules.self_matches, job.dataset)
                found = measured(run, job.qrels, metrics, rules, own)
                results[str(place)] = found.metrics
                details = {
                    "dataset": job.dataset,
                    "system": f"{job.name} reranked to {top_k}",
                    "run": job.source,
                    "top_k": top_k,
                    "reranker": reranker.kind,
                    "settings": reranker.settings(),
                }
                write_conditions(folder, cfg)
                write_result(folder, found.metrics, details | found.details | stored_facts(folder), found.per_query)
    print(table(results))
    return results


def reranked(
    reranker: Reranker, job: Job, top_k: int, folder: Path, about: dict[str, Any], batch_size: int = 32
) -> Run:
    """Write ``run.json`` and ``run.trec`` of the ``top_k`` best documents of each query, best first; the run they hold.

    Ties stay in the order of the given run. Scores are stored every few thousand pairs, beside the run that they will
    make: what an interrupted call left is continued, and what a finished one made is left as it is, where the depth
    and ``about`` (JSON values: run, texts, reranker) are the same; otherwise it is made anew.
    """
    about = about | {"top_k": top_k}
    path, done = folder / "run.json", folder / "run.about.json"
    if path.is_file() and done.is_file() and read_json(done) == _made(about, path):
        logger.info("%s holds this run already", path)
        return read_run(path)
    pieces = Pieces(folder / "run.jsonl", about)
    waiting = islice(job.run.items(), pieces.n_queries, None)
    what = f"rerank {job.dataset}/{job.name}"
    try:
        with progress(desc=what, unit="query", initial=pieces.n_queries, total=len(job.run)) as bar:
            while some := list(islice(waiting, max(PAIRS // top_k, 1))):
                entries = [_scored(reranker, job, query, best(results, top_k), batch_size) for query, results in some]
                pieces.add(len(some), entries, {})
                bar.update(len(some))
    except KeyboardInterrupt as error:
        words = f"{what} interrupted after {pieces.n_queries} queries; the same command continues there"
        raise KeyboardInterrupt(words) from error
    rankings = (
        Ranking(query, list(found), np.array([*found.values()], np.float32)) for query, found in pieces.entries()
    )
    run = write_run(folder, rankings, tag=reranker.kind)
    write_json(done, _made(about, path))
    pieces.discard()
    return run


def _about(job: Job) -> dict[str, Any]:
    """Describe a job's run and texts so that they can be told from others (JSON values)."""
    texts = {"queries": state_of(job.queries), "documents": state_of(job.documents)}
    return texts | {"run": list(Stored.of(Path(job.source)))}


def _made(about: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the record of a finished run: what it is about, and the size and checksum of its file."""
    return {"about": about, "file": list(Stored.of(path))}


def _scored(
    reranker: Reranker, job: Job, query_id: str, ids: list[str], batch_size: int
) -> tuple[str, dict[str, float]]:
    """The documents' scores, best first, in as few digits as give the same float32."""
    query = job.queries[query_id]
    scores = reranker.score([(query, text) for text in job.documents.texts(ids)], batch_size).numpy()
    if not np.isfinite(scores).all():
        raise InputError(
            f"query {query_id!r}: {int((~np.isfinite(scores)).sum())} of {len(ids)} scores are not numbers; reranker "
            "and precision do not fit each other: set init_dict.fp16=false"
        )
    return query_id, {ids[i]: float(str(scores[i])) for i in np.argsort(-scores, kind="stable")}


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
    return reranker.to(own_device()).eval()


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
