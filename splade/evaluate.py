"""Score the runs of ``config.out_dir`` against their qrels."""

import logging
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from splade.config import command
from splade.data.qrels import read_qrels
from splade.evaluation.coverage import Coverage, coverage
from splade.evaluation.metrics import evaluate_per_query, means
from splade.evaluation.report import stored_facts, table, write_summary
from splade.evaluation.runs import read_run
from splade.files import InputError
from splade.records import Qrels, Run
from splade.results import write_result
from splade.workflow.query_sets import QuerySet, count_unknown, query_sets

logger = logging.getLogger(__name__)


def evaluate(cfg: DictConfig) -> dict[str, dict[str, float]]:
    """Write ``perf.json`` of each query set and ``perf_all_datasets.json``; the metrics by set."""
    out_dir = Path(cfg.retrieve.out_dir)
    # Runs may come from elsewhere: without a config.index_dir there is just less to check.
    index_dir = OmegaConf.select(cfg, "index.dir", throw_on_resolution_failure=False)
    results = {}
    for chosen in query_sets(cfg):
        if chosen.qrels is None:
            print(f"{chosen.name}: no qrels (data.EVAL_QREL_PATH is null there), not evaluated")
            continue
        folder = out_dir / chosen.name
        if not (folder / "run.json").is_file():
            raise InputError(
                f"{folder / 'run.json'}: there is no such run. Retrieve first (python -m splade.retrieve), or "
                "point config.out_dir at the folder that holds the runs"
            )
        run, qrels = read_run(folder / "run.json"), read_qrels(chosen.qrels)
        covered = _coverage(chosen, run, qrels)
        print(f"{chosen.name}: {covered.sentence()}")
        per_query = evaluate_per_query(run, qrels, chosen.metrics)
        results[chosen.name] = means(per_query)
        details = {
            "dataset": chosen.name,
            "qrels": str(chosen.qrels),
            "queries": covered._asdict(),
            "judged_documents_not_in_index": count_unknown(chosen.name, qrels, index_dir),
            "conventions": {"unanswered": "count 0", "ties": "as written", "relevance_level": 1},
        }
        write_result(folder, results[chosen.name], details | stored_facts(folder), per_query)
    write_summary(out_dir, results)
    print(table(results))
    return results


def _coverage(chosen: QuerySet, run: Run, qrels: Qrels) -> Coverage:
    try:
        return coverage(run, qrels)
    except InputError as error:
        raise InputError(f"{chosen.name} ({chosen.qrels}): {error}") from error


main = command(evaluate)

if __name__ == "__main__":
    main()
