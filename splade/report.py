"""Write the report of an experiment: one page of HTML, with everything in it."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from splade.config import command
from splade.expectations import choose_rows
from splade.files import check_writable, whole_file
from splade.reports import page, read_experiment
from splade.workflow.reporting.expected import expected_rows
from splade.workflow.reporting.hard_queries import check_asked, hard_of
from splade.workflow.reporting.reported import INDEX, all_postings, known_of, own_rows

logger = logging.getLogger(__name__)


def report(cfg: DictConfig) -> Path:
    """Write ``report.html`` of the results in ``config.out_dir``; the path of the page.

    The training and the index are those of the experiment's saved config, unless named.
    """
    chosen, out_dir = cfg.report, Path(cfg.retrieve.out_dir)
    path = out_dir / "report.html" if chosen.path is None else Path(chosen.path)
    check_writable(path.parent)
    known = known_of(cfg, out_dir)
    trained, why = known.training()
    experiment = read_experiment(out_dir, trained, known.folder(INDEX, "index"), known.file, why)
    check_asked(experiment.results, chosen.n_queries, chosen.metric)
    postings = all_postings(experiment.results, known, experiment.missing)
    experiment = experiment._replace(postings=postings)
    hard = {
        one.dataset: hard_of(
            one, known_of(cfg, out_dir, one.folder), chosen.n_queries, chosen.metric, encode=chosen.encode,
            missing=experiment.missing,
        )
        for one in experiment.results
    }  # fmt: skip
    rows = expected_rows(chosen.expected_dir)
    named = [row.name for row in choose_rows(rows, chosen.expected, "report.expected")] if chosen.expected else []
    with whole_file(path) as stream:
        stream.write(page(experiment, hard, rows, own_rows(known, rows, named)))
    logger.info("report: %s", path)
    return path


main = command(report)

if __name__ == "__main__":
    main()
