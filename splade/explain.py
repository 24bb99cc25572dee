"""Show the terms of a text, or those that make the score of a query and a document."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from splade.config import command
from splade.explaining.forms import Explained
from splade.files import check_writable
from splade.workflow.reporting.explanations import check_asked, explained, written

logger = logging.getLogger(__name__)


def explain(cfg: DictConfig) -> Explained:
    """Print ``explain.text`` as a bag of terms, or the terms that make the score of ``explain.query`` and a document.

    The document is ``explain.document``, or ``explain.document_id`` of ``config.index_dir``. With ``explain.path`` the
    explanation is written there, in the form ``explain.format``. Returns the explanation.
    """
    asked = cfg.explanation
    check_asked(asked)
    if asked.path is not None:
        check_writable(Path(asked.path).parent)
    found = explained(cfg)
    path = written(found, asked)
    if path is not None:
        logger.info("written: %s", path)
    return found


main = command(explain)

if __name__ == "__main__":
    main()
