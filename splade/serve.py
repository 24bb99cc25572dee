"""Serve a model and its index over HTTP: vectors, search, explanations, and a page to search with."""

import logging
import os

from omegaconf import DictConfig

from splade.config import command
from splade.files import InputError
from splade.workflow.checks import check_search

logger = logging.getLogger(__name__)


def serve(cfg: DictConfig) -> None:
    """Answer requests at ``serve.host`` and ``serve.port`` until SIGTERM or Ctrl-C."""
    try:
        from splade.serving import app, running
    except ModuleNotFoundError as error:
        raise InputError(f"splade.serve needs {error.name}: pip install 'splade[serve]'") from error
    from splade.workflow.serving.building import key_of, serving_from

    running.bound_caches(os.environ)
    check_search(cfg)
    chosen = cfg.serving
    running.refuse_open_door(chosen.host, key_of(cfg), chosen.without_key)
    with running.bound(chosen.host, chosen.port) as listening:
        serving = serving_from(cfg)
        for system in serving.systems.values():
            system.watch(chosen.reload_seconds)

        def ready() -> None:
            logger.info("serving at %s (Ctrl-C ends it)", running.address_of(listening))

        try:
            made = app.application(serving)
            running.run(running.server_of(made, seconds_to_stop=chosen.stop_seconds, ready=ready), listening)
        finally:
            serving.close()
    logger.info("stopped")


main = command(serve)

if __name__ == "__main__":
    main()
