"""Write the collection and the queries as sparse vectors for Anserini (Lucene), or for another target."""

from typing import Any

from omegaconf import DictConfig

from splade.config import command
from splade.workflow.exporting import export_texts


def create_anserini(cfg: DictConfig) -> dict[str, Any]:
    """Write the documents and queries as the files of ``config.export`` into ``config.out_dir``; the manifest.

    Those of ``anserini``, the default, are ``docs_anserini.jsonl`` and ``queries_anserini.tsv``. The queries of the
    first set of ``data.Q_COLLECTION_PATH`` go into ``out_dir`` itself, those of further sets into ``out_dir/<NAME>/``:
    their ids may overlap. `splade.export` does the same from an index or given vectors, and for other engines.
    """
    return export_texts(cfg)


main = command(create_anserini)

if __name__ == "__main__":
    main()
