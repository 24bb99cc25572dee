"""Push a model or an index folder to a hub, with a card."""

import logging
import os
from pathlib import Path

from omegaconf import DictConfig

from splade.config import command
from splade.files import check_writable
from splade.hub import Parcel, Pushed, connect, push, write_parcel
from splade.hub.client import check_name
from splade.workflow.publishing import kind_of, parcel_of

logger = logging.getLogger(__name__)


def push_folder(cfg: DictConfig) -> Pushed | None:
    """Push the model of ``config.checkpoint_dir``, or the folder ``config.index_dir``, to ``push.repo``.

    With ``push.dry_run`` the files are written to ``push.out_dir`` and nothing is sent; None is returned.
    """
    chosen = cfg.pushing
    check_name(chosen.repo, "push.repo")
    kind = kind_of(chosen, cfg.named, "push.kind")
    folder = Path(chosen.out_dir or f"pushed/{chosen.repo}")
    if chosen.dry_run:
        check_writable(folder.parent)
        with parcel_of(chosen, kind) as parcel:
            write_parcel(parcel, folder)
        logger.info("%s, not sent, in %s", told(parcel), folder)
        return None
    hub = connect(os.environ, chosen.token_file)
    with parcel_of(chosen, kind) as parcel:
        done = push(hub, chosen.repo, parcel, private=chosen.private, revision=chosen.revision)
    what = f"pushed as {done.commit}" if done.changed else f"unchanged, at {done.commit}"
    logger.info("%s of %s: %s", told(parcel), chosen.repo, what)
    return done


def told(parcel: Parcel) -> str:
    """Return the kind, the number of files, their bytes and the fingerprints of ``parcel``, in words."""
    prints = ", ".join(f"{name} {text or 'of no model'}" for name, text in parcel.manifest.fingerprints.items())
    n_files = len(parcel.files) + len(parcel.made)
    return f"{parcel.manifest.kind} ({prints}): {n_files} files, {parcel.n_bytes} bytes"


main = command(push_folder)

if __name__ == "__main__":
    main()
