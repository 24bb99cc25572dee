"""Measure what pruning, two-step and approximate search, and small weights cost and save, over a grid of points."""

import logging
import zlib
from copy import deepcopy
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from splade.config import command
from splade.config.checking.settings import WRONG, complaint, read_value
from splade.config.composing.errors import hint
from splade.data.collections.collection import collection_state
from splade.data.collections.opening import open_collection, open_queries
from splade.data.qrels import read_qrels
from splade.data.vectors.vectors import open_vectors
from splade.engines.inverted import Inverted, OpenedInverted
from splade.engines.protocol import Documents, Queries
from splade.evaluation.conventions import SelfMatches
from splade.evaluation.names import parse_all
from splade.files import InputError, whole_file, write_json
from splade.grids import AXES, Grid, JudgedSet, Point, Searching, VectorSource, markdown, points_of, tradeoff_figure
from splade.grids.points import GRID
from splade.indexing.index.inverted_index import state_of
from splade.workflow.checks import check_retrieval
from splade.workflow.costs import write_conditions
from splade.workflow.engines import FromModel, engine_at, named_engine
from splade.workflow.evaluating.conventions import conventions_of
from splade.workflow.given_vectors import given_documents, given_queries
from splade.workflow.query_sets import query_sets
from splade.workflow.searching import answer, pruned_queries

logger = logging.getLogger(__name__)


def tradeoffs(cfg: DictConfig) -> dict[str, Any]:
    """Search the judged query sets at every point of ``tradeoffs.grid``; the table of ``tradeoffs.json``.

    A point is an index of its own, or another pruning of queries, or another strategy; the baseline is as configured.
    Writes a result folder for each point and set, ``tradeoffs.json``, ``.md`` and ``.png`` into ``config.out_dir``.
    Finished points are kept, and an interrupted run is continued by the same command. Indexes of points are dropped
    at the end; the one of all vectors stays.
    """
    refuse_other_engines(cfg)
    points, repeats = points_from(cfg.tradeoffs), repeats_from(cfg.tradeoffs)
    check_retrieval(cfg)
    sets, out_dir = judged_sets(cfg), Path(cfg.retrieve.out_dir)
    write_conditions(out_dir, cfg)
    engine: Any = engine_at(cfg, "inverted", None)
    grid = Grid(points, sets, source_from(cfg, out_dir / "source"), engine, searching_from(cfg), repeats, out_dir)
    try:
        grid.measure()
    except KeyboardInterrupt as error:
        told = str(error) or "interrupted; the same command goes on after the last finished step"
        raise KeyboardInterrupt(told) from error
    return report(grid, str(cfg.tradeoffs.mode))


def refuse_other_engines(cfg: DictConfig) -> None:
    """InputError where the engine is not our inverted index, or does not take its settings."""
    name = named_engine(cfg) or str(cfg.kinds.engine)
    if name != "inverted":
        said = "engine._target_" if name == "engine" else f"config.engine={name}"
        raise InputError(
            f"{said}: splade.tradeoffs changes layout, pruning and strategy of our inverted index. Use "
            "config.engine=inverted, with a model of sparse vectors"
        )


def points_from(settings: DictConfig) -> list[Point]:
    """The points of the ``tradeoffs`` node; InputError for unknown axes and values that an axis does not take."""
    grid: Any = GRID if settings.grid is None else settings.grid
    grid = OmegaConf.to_container(grid, resolve=True) if OmegaConf.is_config(grid) else grid
    if not isinstance(grid, dict) or not grid:
        raise InputError(f"tradeoffs.grid={grid}: give values by axis, as {{prune_mass: [0.9, 0.8]}}; {_axes()}")
    for axis, values in grid.items():
        if axis not in AXES:
            raise InputError(f"tradeoffs.grid.{axis}: there is no such axis{hint(str(axis), AXES)}; {_axes()}")
        if not isinstance(values, list) or not values:
            raise InputError(f"tradeoffs.grid.{axis}={values}: give a list of values, as {GRID[axis]}")
        for value in values:
            if read_value(AXES[axis].kind, value, settings) is WRONG:
                raise InputError(complaint(f"tradeoffs.grid.{axis}", AXES[axis].kind, value, settings))
    try:
        return points_of(grid, str(settings.mode))
    except ValueError as error:
        raise InputError(f"tradeoffs.{error}") from error


def repeats_from(settings: DictConfig) -> int:
    """The number of passes; InputError where it is none."""
    if settings.repeats is None or read_value("int >= 1", settings.repeats, settings) is WRONG:
        raise InputError(complaint("tradeoffs.repeats", "int >= 1", settings.repeats, settings))
    return int(settings.repeats)


def judged_sets(cfg: DictConfig) -> list[JudgedSet]:
    """The query sets that can be evaluated; InputError where there is none, or ``tradeoffs.metric`` is not computed."""
    found, wanted = [], cfg.tradeoffs.metric
    for number, chosen in enumerate(query_sets(cfg)):
        if chosen.qrels is None or not chosen.metrics:
            logger.warning("%s: no qrels or no metrics, left out", chosen.name)
            continue
        keys = [metric.key for metric in parse_all(chosen.metrics)]
        if wanted is not None and wanted not in keys:
            raise InputError(
                f"tradeoffs.metric={wanted}: not among the metrics of {chosen.name} (config.eval_metric), which are "
                f"{', '.join(keys)}"
            )
        qrels = read_qrels(str(chosen.qrels))
        found.append(JudgedSet(chosen.name, number, str(chosen.qrels), qrels, tuple(chosen.metrics), wanted or keys[0]))
    if not found:
        raise InputError(
            "no query set has qrels and metrics: give data.EVAL_QREL_PATH and config.eval_metric, one entry per set"
        )
    return found


def searching_from(cfg: DictConfig) -> Searching:
    """Searching as the config says, with the settings that a point changes in their place."""

    rules = conventions_of(cfg.get("conventions"))

    def answered(opened: OpenedInverted, queries: Queries, folder: Path, changes: dict[str, Any]) -> None:
        own = deepcopy(cfg)
        for name, value in changes.items():
            OmegaConf.update(own, f"search.{name}", value)
        answer(opened, queries, folder, own, self_matches=SelfMatches(rules.self_matches, folder.name))
        (folder / "config.yaml").unlink(missing_ok=True)  # it is that of the grid, not of the point

    names = ("top_k", "threshold", "n_threads", "prune_top_terms", "prune_mass")
    settings = {name: cfg.search[name] for name in names}
    return Searching(settings, rules, answered, lambda queries, changed: pruned_queries(queries, changed)[0])


def source_from(cfg: DictConfig, folder: Path) -> VectorSource:
    """Documents of ``data.VECTORS_PATH``, else of the index at ``config.index_dir``, else of the model's encoding.

    Given vectors and encoded ones are kept in an index at ``folder``, so that they are read, or encoded, once; an
    interrupted run continues there. The queries are those of ``data.Q_VECTORS_PATH``, or encoded.
    """
    model = FromModel(cfg)
    if not cfg.index.vectors and (own := Inverted(cfg.index.dir)).exists():
        kept = own.open()
        tell_of_own(kept)
        octets = b"".join(part or b"" for part in state_of(Path(cfg.index.dir)))
        about: dict[str, Any] = {"index": str(cfg.index.dir), "crc32": zlib.crc32(octets)}
        return VectorSource(about, lambda: kept, *queries_from(cfg, model))
    documents = documents_from(cfg, model)
    about = {"fingerprint": documents.fingerprint, **documents.origin}
    inverted = Inverted(folder, memory_mb=cfg.index.memory_mb)
    return VectorSource(about, lambda: inverted.build(documents), *queries_from(cfg, model))


def tell_of_own(opened: OpenedInverted) -> None:
    """Say where the vectors come from, and warn if they have been pruned or rounded before."""
    segment = opened.index.parts[0].segment
    logger.info("vectors are read out of the index %s", opened.path)
    if segment.layout.pruning.prunes or segment.codec.name != "float32":
        logger.warning(
            "%s: its postings were pruned, or its weights rounded (%s), when it was built; the baseline is this index, "
            "not all that the model gave", opened.path, segment.codec.name,
        )  # fmt: skip


def documents_from(cfg: DictConfig, model: FromModel) -> Documents:
    """The documents to index: given vectors, or those of the model; InputError where there are neither."""
    if cfg.index.vectors:
        return given_documents(open_vectors(cfg.index.vectors, cfg.index.vector_keys))
    if cfg.retrieve.vectors:
        raise InputError(
            f"config.index_dir={cfg.index.dir}: there is no index here to read vectors of. Set data.VECTORS_PATH or "
            "config.index_dir beside data.Q_VECTORS_PATH"
        )
    return model.documents(open_collection(cfg.index.collection))


def queries_from(cfg: DictConfig, model: FromModel) -> tuple[Any, Any]:
    """The last two fields of a `VectorSource`: from the number of a set to its description, and to its vectors."""
    force = cfg.search.force
    if cfg.retrieve.vectors:
        sources, keys = list(cfg.retrieve.vectors), cfg.retrieve.vector_keys
        return (
            lambda number: open_vectors(sources[number], keys).state(),
            lambda opened, number: given_queries(sources[number], opened, keys, force),
        )
    texts = list(cfg.retrieve.queries)
    ways = {name: cfg.encoder[name] for name in ("fp16", "bf16", "int8", "max_length", "max_length_q")}
    return (
        lambda number: {"fingerprint": model.fingerprint, **ways, **collection_state(open_queries(texts[number]))},
        lambda opened, number: model.queries(opened, force).encode(open_queries(texts[number])),
    )


def report(grid: Grid, mode: str) -> dict[str, Any]:
    """Write ``tradeoffs.json``, ``.md`` and ``.png``; what the first of them holds."""
    outcomes, settings = grid.outcomes(), grid.searching.settings
    told = {
        "mode": mode,
        "repeats": grid.repeats,
        "n_threads": settings["n_threads"],
        "top_k": settings["top_k"],
        "n_docs": outcomes[0].results[0].fact("search_stats.index.n_docs"),
        "sets": {outcome.name: {"metric": outcome.metric, "points": outcome.rows()} for outcome in outcomes},
    }
    threads = "1 thread" if told["n_threads"] == 1 else f"{told['n_threads']} threads"
    table = markdown(
        outcomes,
        f"{told['n_docs']:,} documents, k = {told['top_k']}, {threads}, {grid.repeats} interleaved passes.",
    )
    write_json(grid.out_dir / "tradeoffs.json", told)
    with whole_file(grid.out_dir / "tradeoffs.md") as stream:
        stream.write(table)
    tradeoff_figure(outcomes, grid.out_dir / "tradeoffs.png")
    print(table)
    logger.info("table and figure: %s", grid.out_dir / "tradeoffs.md")
    return told


def _axes() -> str:
    return f"axes: {', '.join(AXES)}"


main = command(tradeoffs)

if __name__ == "__main__":
    main()
