"""Foresee shards, hours, bytes and memory of collections of N documents, from a sample measured on this machine."""

import logging
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from splade.config import command
from splade.files import check_writable, whole_file, write_json
from splade.indexing.format.choices import Layout
from splade.planning import Question, answered, measure, this_machine
from splade.results.conditions import conditions
from splade.workflow.scaling.sampled import other_engines, samples_from, targets_in, write_shard

logger = logging.getLogger(__name__)


def plan(cfg: DictConfig) -> dict[str, Any]:
    """Foresee ``plan.documents``: encoding, our index, and the files of every export; what ``plan.json`` holds.

    The sample is the first ``plan.sample`` documents of ``data.COLLECTION_PATH``, encoded by the model, or of
    ``data.VECTORS_PATH``. Half of it and all of it are measured, which ought to foresee alike. Writes ``plan.json``
    and ``plan.md`` into ``config.out_dir``, and prints the table.
    """
    asked, out_dir, memory_mb = cfg.planning, Path(cfg.planning.out_dir), int(cfg.index.memory_mb)
    check_writable(out_dir)
    layout: Any = OmegaConf.to_container(cfg.index.layout, resolve=True)
    layout["max_bytes"] = None  # of the whole collection's index, not of a sample's
    samples, targets = samples_from(cfg), targets_in(cfg)
    writer = None if cfg.index.vectors else write_shard
    half, whole = (
        measure(sample, targets, writer, timed=timed, memory_mb=memory_mb, **layout)
        for sample, timed in zip(samples, (asked.indexed // 2, asked.indexed), strict=True)
    )
    question = Question(
        documents=[int(n) for n in asked.documents],
        workers=int(asked.workers),
        shard_hours=float(asked.shard_hours),
        memory_mb=memory_mb,
        threads=Layout(**layout).threads,
        tolerance=float(asked.tolerance),
    )
    figures, page = answered(question, half, whole, this_machine(out_dir), other_engines(cfg))
    write_json(out_dir / "plan.json", {"conditions": conditions(), **figures})
    with whole_file(out_dir / "plan.md") as stream:
        stream.write(page)
    print(page)
    logger.info("the plan: %s", out_dir / "plan.md")
    return figures


main = command(plan)

if __name__ == "__main__":
    main()
