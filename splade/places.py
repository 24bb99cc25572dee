"""List what another system keeps, and drop the documents of an index from it."""

import logging

from omegaconf import DictConfig

from splade.config import command
from splade.engines.folders import engines_in
from splade.engines.places.kept import Kept
from splade.engines.places.ledger import read_state
from splade.files import InputError
from splade.workflow.engines import engine_at, named_engine

logger = logging.getLogger(__name__)


def places(cfg: DictConfig) -> list[str]:
    """List the places that the system of ``config.engine`` has, marking that of ``config.index_dir``; their names.

    With ``places.drop=true`` the documents of ``config.index_dir`` are removed from the system first. Those of other
    commands are never touched.
    """
    folder = cfg.index.dir
    name = named_engine(cfg) or next(iter(engines_in(folder)), "inverted")
    engine = engine_at(cfg, name, folder)
    if not isinstance(engine, Kept):
        raise InputError(
            f"config.engine={name} keeps its documents in {folder} alone: remove the folder. Places are kept by "
            "engine=milvus, qdrant, opensearch and other systems"
        )
    if cfg.stored.drop:
        engine.drop()
        logger.info("dropped the documents of %s", folder)
    own = read_state(engine.folder).place if engine.exists() and engine.folder is not None else None
    found = engine.places()
    print("\n".join(f"{place}{'  (of config.index_dir)' if place == own else ''}" for place in found) or "no places")
    return found


main = command(places)

if __name__ == "__main__":
    main()
