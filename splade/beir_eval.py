"""Index, search and evaluate one BEIR data set, from a folder or downloaded."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from splade.config import command
from splade.data.collections.collection import Collection
from splade.data.collections.opening import open_collection, open_queries
from splade.data.qrels import read_qrels, split_file
from splade.data.text_files.sources import PREFIX, NotDownloadedError, is_known
from splade.evaluation.conventions import describe, drop_self_matches, drops_self_matches, search_depth
from splade.evaluation.coverage import coverage, relevant_self_matches
from splade.evaluation.metrics import evaluate_per_query, means
from splade.evaluation.report import stored_facts
from splade.files import InputError, check_writable
from splade.records import Qrels
from splade.results import write_result
from splade.workflow.checks import check_search
from splade.workflow.costs import build
from splade.workflow.engines import chosen_engine
from splade.workflow.query_sets import count_unknown_of
from splade.workflow.searching import answer

logger = logging.getLogger(__name__)


def beir_eval(cfg: DictConfig) -> dict[str, float]:
    """Evaluate on ``+beir.dataset``, read from ``+beir.dataset_path`` if it is there, else downloaded."""
    name, split = cfg.beir.dataset, cfg.beir.split
    check_search(cfg)
    check_writable(cfg.retrieve.out_dir)
    corpus, queries, qrels = beir_parts(name, cfg.beir.path, split)
    chosen, out_dir = chosen_engine(cfg), Path(cfg.retrieve.out_dir) / "beir" / name
    k, policy = cfg.search.top_k, cfg.beir.self_matches
    index_dir = Path(cfg.index.dir) / "beir" / name
    opened = build(chosen.at(index_dir), chosen.source.documents(corpus), index_dir)
    run = answer(
        opened,
        chosen.source.queries(opened).encode(queries),
        out_dir,
        cfg,
        k=search_depth(k, policy, name),
        keep=lambda rankings: drop_self_matches(rankings, k, policy, name),
    )
    covered = coverage(run, qrels)
    per_query = evaluate_per_query(run, qrels, list(cfg.beir.metrics))
    metrics = means(per_query)
    details = {
        "dataset": name,
        "split": split,
        "queries": covered._asdict(),
        "judged_documents_not_in_index": count_unknown_of(f"{name} ({split})", qrels, opened),
        "relevant_documents_dropped_as_self_matches": count_dropped(f"{name} ({split})", qrels, policy, name),
        "conventions": {"unanswered": "count 0", "ties": "document number", "self_matches": describe(policy)},
    }
    write_result(out_dir, metrics, details | stored_facts(out_dir), per_query)
    logger.info("%s (%s): %s; %s", name, split, covered.sentence(), describe(policy))
    for metric, value in metrics.items():
        logger.info("%s (%s): %s %.4f", name, split, metric, value)
    logger.info("runs and metrics: %s", out_dir)
    return metrics


def count_dropped(title: str, qrels: Qrels, policy: str, dataset: str) -> int:
    """Count the relevant documents that every ranking loses for having their query's id; warn where there are any."""
    lost = relevant_self_matches(qrels) if drops_self_matches(policy, dataset) else []
    if lost:
        logger.warning(
            "%s: %d relevant documents are dropped as self-matches (query and document %s …) and count as not found; "
            "+beir.self_matches=off keeps them",
            title, len(lost), ", ".join(map(repr, lost[:3])),
        )  # fmt: skip
    return len(lost)


def beir_parts(name: str, path: str | None, split: str) -> tuple[Collection, Collection, Qrels]:
    """Corpus, the queries of ``split``, and its qrels, of BEIR's ``name``.

    The folder is ``path/name``, or ``path`` itself where that holds ``corpus.jsonl``. Without a folder
    ``ir_datasets`` downloads the set (id ``beir/name/split``, or ``beir/name`` where it has only the test queries).
    """
    folder = _folder(name, path)
    if folder is None:
        return _of_ir_datasets(name, path, split)
    try:
        qrels = split_file(folder, split)
    except InputError as error:
        raise InputError(f"+beir.split={split}: there are no such qrels: {error}") from error
    return open_collection(folder), open_queries(folder, split=split), read_qrels(qrels)


def _of_ir_datasets(name: str, path: str | None, split: str) -> tuple[Collection, Collection, Qrels]:
    logger.info("BEIR %s is not in %s; ir_datasets reads or downloads it", name, path)
    identifier = f"{PREFIX}beir/{name}/{split}"
    if split == "test" and not is_known(identifier):  # ArguAna, NQ and others have no other split, nor one in their id
        identifier = f"{PREFIX}beir/{name}"
    try:
        return open_collection(identifier), open_queries(identifier), read_qrels(identifier)
    except NotDownloadedError as error:
        folder = Path(path or "data/beir") / name
        raise InputError(
            f"{error}: put corpus.jsonl, queries.jsonl and qrels/{split}.tsv of BEIR's {name}, gzipped or not, into "
            f"{folder} and set +beir.dataset_path={folder.parent}"
        ) from error


def _folder(name: str, path: str | None) -> Path | None:
    candidates = [Path(path) / name, Path(path)] if path else []
    for folder in candidates:
        if any((folder / file).is_file() for file in ("corpus.jsonl", "corpus.jsonl.gz")):
            return folder
    return None


main = command(beir_eval)

if __name__ == "__main__":
    main()
