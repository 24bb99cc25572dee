"""Write vectors in the form of a search engine: documents, queries, and a manifest; or check what was written."""

from typing import Any

from omegaconf import DictConfig

from splade.config import command
from splade.exporting.checking import check_export, report
from splade.exporting.models import ModelTarget
from splade.workflow.exporting import (
    export_index,
    export_texts,
    export_the_model,
    export_vectors,
    make_target,
    target_of,
)


def export(cfg: DictConfig) -> dict[str, Any]:
    """Write documents and queries as ``export.target`` has them into ``config.out_dir``; the manifest.

    They are those of ``data.VECTORS_PATH`` and ``data.Q_VECTORS_PATH``, without a model; or of the index at
    ``config.index_dir``, where that is named and no collection is; or of ``data.COLLECTION_PATH`` and
    ``data.Q_COLLECTION_PATH``, encoded by the model. With ``export.check=FOLDER`` nothing is written: the export in it
    is read back. A target that writes the model itself, as ``onnx`` does, needs no documents.
    """
    if cfg.exporting.check:
        manifest = check_export(cfg.exporting.check, lambda name, arguments: make_target(cfg, name, arguments))
        print("\n".join(report(manifest)))
        return manifest
    chosen = target_of(cfg)
    if isinstance(chosen.target, ModelTarget):
        manifest = export_the_model(cfg, chosen)
    elif cfg.index.vectors:
        manifest = export_vectors(cfg)
    elif is_of_index(cfg):
        manifest = export_index(cfg)
    else:
        manifest = export_texts(cfg)
    print("\n".join(report(manifest)))
    return manifest


def is_of_index(cfg: DictConfig) -> bool:
    """True where an index is named, and no collection."""
    return "config.index_dir" in cfg.named and "data.COLLECTION_PATH" not in cfg.named


main = command(export)

if __name__ == "__main__":
    main()
