"""Index, search and evaluate evaluation sets, one or a whole suite, from folders or downloaded."""

import os

from omegaconf import DictConfig

from splade.config import command
from splade.config.composing.processes import is_first, one_of_several
from splade.data.text_files.sources import no_downloads
from splade.files import check_writable
from splade.suites import sets_of
from splade.suites.downloads import hub_offline
from splade.workflow.checks import check_search
from splade.workflow.engines import chosen_engine
from splade.workflow.evaluating.suite_tasks import tasks_of, with_lengths
from splade.workflow.evaluating.suites import check_missing, run_suite


def beir_eval(cfg: DictConfig) -> dict[str, dict[str, float]]:
    """Evaluate on ``+beir.dataset``: a set, a list of sets, or a suite; the metrics by set.

    Each set is read from ``+beir.dataset_path`` if it is there, else downloaded. A set whose result is there already,
    of the same system, data and conventions, is not repeated. Under torchrun the processes share the encoding of each
    set; the first one does the rest, and the others return what it found.
    """
    tasks = tasks_of(cfg, sets_of(cfg.beir.dataset, cfg.beir.split))
    check_search(cfg)
    check_writable(cfg.retrieve.out_dir)
    with no_downloads(cfg.beir.offline), hub_offline(cfg.beir.offline):
        skipped = check_missing(cfg, tasks)
        tasks = [task for task in tasks if task.one.name not in skipped]
        if not one_of_several(os.environ):
            return run_suite(cfg, chosen_engine(with_lengths(cfg)), tasks, skipped)
        from splade.training.distributed.processes import process_group  # several processes have a model, and torch
        from splade.workflow.together import is_shared

        with process_group(os.environ):
            chosen = chosen_engine(with_lengths(cfg))
            if is_shared(chosen):
                return run_suite(cfg, chosen, tasks, skipped, together=True)
        return run_suite(cfg, chosen, tasks, skipped) if is_first(os.environ) else {}


main = command(beir_eval)

if __name__ == "__main__":
    main()
