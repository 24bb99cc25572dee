"""Fuse runs of the same queries into one run."""

import logging
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from splade.config import command
from splade.evaluation.runs import check_run_name, cut_run, run_at, write_run_file
from splade.files import InputError
from splade.records import Run

logger = logging.getLogger(__name__)


def fuse(cfg: DictConfig) -> Run:
    """Write the fusion of ``fuse.runs`` by ``fuse.method`` to ``fuse.out``, a ``.trec`` or ``.json``, and return it."""
    chosen, method = cfg.fused, instantiate(cfg.fusion)
    check_run_name(chosen.out)
    if len(chosen.runs) < 2:
        raise InputError(f"fuse.runs={list(chosen.runs)}: name two runs or more")
    runs = {str(path): run_at(path) for path in chosen.runs}
    if len(runs) < len(chosen.runs):
        raise InputError(f"fuse.runs={list(chosen.runs)}: a run is there twice; fuse.weights gives one more weight")
    refuse_other_queries(runs)
    found = cut_run(method(list(runs.values())), chosen.top_k)
    write_run_file(chosen.out, found, tag=chosen.method)
    logger.info("%s: %d queries of %d runs by %s", Path(chosen.out), len(found), len(runs), chosen.method)
    return found


def refuse_other_queries(runs: dict[str, Run]) -> None:
    """InputError where a run has no query in common with the first one."""
    first = next(iter(runs))
    for path, run in runs.items():
        if not run.keys() & runs[first].keys():
            few = [next(iter(each), "none") for each in (runs[first], run)]
            raise InputError(
                f"{path}: it has no query in common with {first} (these have {few[1]!r} …, and {few[0]!r} …): runs of "
                "other query sets are not fused"
            )


main = command(fuse)

if __name__ == "__main__":
    main()
