"""Run the commands of expected values, and write a page of what they gave."""

import logging
import shlex
from pathlib import Path

from omegaconf import DictConfig

from splade import __version__
from splade.config import command
from splade.expectations import Outcome, Places, choose_rows, markdown, reproduce_rows
from splade.expectations.page import as_json
from splade.expectations.planning import refuse_unknown_models
from splade.files import InputError, check_writable, whole_file, write_json
from splade.workflow.reporting.expected import expected_rows

logger = logging.getLogger(__name__)

PAGE, VALUES = "reproduced.md", "reproduced.json"


def reproduce(cfg: DictConfig) -> list[Outcome]:
    """Reproduce the rows of ``reproduce.name``; the exit status is 1 where one differs or fails.

    InputError where none of them could run.
    """
    chosen = cfg.reproduce
    rows_at_hand = expected_rows(chosen.expected)
    rows = choose_rows(rows_at_hand, chosen.name)
    data = None if chosen.data_path is None else Path(chosen.data_path)
    if data is not None and not data.is_dir():
        raise InputError(f"reproduce.data_path={data}: there is no such folder")
    out = Path(chosen.out_dir)
    check_writable(out)
    models = {str(name): str(folder) for name, folder in chosen.models.items()}
    refuse_unknown_models(rows_at_hand, models)
    outcomes = reproduce_rows(rows, Places(data, models, out, __version__))
    given = [f"reproduce.data_path={data}"] if data else []
    given += [f"reproduce.models.{name}={folder}" for name, folder in models.items()]
    with whole_file(out / PAGE) as stream:
        stream.write(markdown(outcomes, " ".join(["python -m splade.reproduce", *map(shlex.quote, given)])))
    write_json(out / VALUES, as_json(outcomes))
    logger.info("%d rows; page: %s", len(outcomes), out / PAGE)
    if all(one.verdict == "not run" for one in outcomes):
        raise InputError(
            "none of these rows can run here:\n" + "\n".join(f"{one.row.name}: {one.why}" for one in outcomes)
        )
    wrong = [one for one in outcomes if one.verdict in ("differs", "failed")]
    for one in wrong:
        logger.error("%s %s: %s", one.row.name, one.verdict, one.why or f"{one.found:.4f}, not {one.row.value:.4f}")
    if wrong:
        raise SystemExit(1)
    return outcomes


main = command(reproduce)

if __name__ == "__main__":
    main()
