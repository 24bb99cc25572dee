"""Pull a model or an index folder from a hub."""

import logging
import os

from omegaconf import DictConfig

from splade.config import command
from splade.files import check_writable
from splade.hub import Pulled, connect, pull
from splade.hub.client import check_name
from splade.workflow.publishing import folder_of_kind, kind_of

logger = logging.getLogger(__name__)


def pull_folder(cfg: DictConfig) -> Pulled:
    """Pull ``pull.repo`` into ``config.checkpoint_dir/model``, or into ``config.index_dir``, where commands find it.

    The folder appears whole and checked, or not at all; an interrupted pull is continued by the same command.
    """
    chosen = cfg.pulling
    check_name(chosen.repo, "pull.repo")
    kind = kind_of(chosen, cfg.named, "pull.kind")
    folder = folder_of_kind(chosen, kind)
    target = folder / "model" if kind == "model" else folder
    check_writable(target.parent)
    found = pull(connect(os.environ, chosen.token_file), chosen.repo, kind, target, revision=chosen.revision)
    prints = ", ".join(f"{name} {text or 'of no model'}" for name, text in found.fingerprints.items())
    logger.info(
        "%s %s at %s: %d files, %d bytes in %s%s",
        kind if not prints else f"{kind} ({prints})", chosen.repo, found.commit, found.n_files, found.n_bytes, target,
        "; it was there already" if found.was_there else "",
    )  # fmt: skip
    return found


main = command(pull_folder)

if __name__ == "__main__":
    main()
