"""Score the runs of ``config.out_dir`` against their qrels."""

import logging
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from splade.config import command
from splade.data.qrels import read_qrels
from splade.evaluation.conventions import Conventions, SelfMatches
from splade.evaluation.measured import Measured, measured
from splade.evaluation.report import stored_facts, table, write_summary
from splade.evaluation.runs import read_run
from splade.files import InputError
from splade.records import Qrels, Run
from splade.results import write_result
from splade.workflow.evaluating.conventions import conventions_of
from splade.workflow.evaluating.systems import stored_system
from splade.workflow.query_sets import QuerySet, count_unknown, query_sets

logger = logging.getLogger(__name__)


def evaluate(cfg: DictConfig) -> dict[str, dict[str, float]]:
    """Write ``perf.json`` of each query set and ``perf_all_datasets.json``; the metrics by set."""
    out_dir = Path(cfg.retrieve.out_dir)
    # Runs may come from elsewhere: without a config.index_dir there is just less to check.
    index_dir = OmegaConf.select(cfg, "index.dir", throw_on_resolution_failure=False)
    rules, results = conventions_of(cfg.get("conventions")), {}
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
        facts = stored_facts(folder)
        found = _measured(chosen, run, qrels, rules, facts.pop("dropped", {}).get("queries", []))
        print(f"{chosen.name}: {found.covered.sentence(rules.answered_only)}")
        results[chosen.name] = found.metrics
        details = {
            "dataset": chosen.name,
            "system": stored_system(cfg, facts),
            "qrels": str(chosen.qrels),
            "judged_documents_not_in_index": count_unknown(chosen.name, qrels, index_dir),
        }
        write_result(folder, found.metrics, details | found.details | facts, found.per_query)
    write_summary(out_dir, results)
    print(table(results))
    print(f"conventions: {rules.sentence()}")
    return results


def _measured(chosen: QuerySet, run: Run, qrels: Qrels, rules: Conventions, dropped: list[str]) -> Measured:
    own = SelfMatches(rules.self_matches, chosen.name)
    try:
        return measured(run, qrels, chosen.metrics, rules, own, dropped_before=dropped)
    except InputError as error:
        raise InputError(f"{chosen.name} ({chosen.qrels}): {error}") from error


main = command(evaluate)

if __name__ == "__main__":
    main()
