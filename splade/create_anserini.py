"""Write the collection and the queries as sparse vectors for Anserini (Lucene), or for another engine."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from splade.config import command
from splade.data.collections.opening import open_collection, open_queries
from splade.encoding import Encoder
from splade.exporting.anserini import term_words
from splade.exporting.target import ExportTarget
from splade.progress import progress
from splade.records import SparseBatch, Text
from splade.workflow.encoding import encoder_from
from splade.workflow.model_loading import retriever_from

logger = logging.getLogger(__name__)


def create_anserini(cfg: DictConfig) -> None:
    """Write the documents and queries as the files of ``config.export`` into ``config.out_dir``.

    Those of ``anserini``, the default, are ``docs_anserini.jsonl`` and ``queries_anserini.tsv``. The queries of the
    first set of ``data.Q_COLLECTION_PATH`` go into ``out_dir`` itself, those of further sets into ``out_dir/<NAME>/``:
    their ids may overlap.
    """
    target: ExportTarget = instantiate(cfg.export)
    name, out_dir = str(OmegaConf.select(cfg, "kinds.export", default="anserini")), Path(cfg.retrieve.out_dir)
    collection = open_collection(cfg.index.collection)
    query_sets = [open_queries(path) for path in cfg.retrieve.queries]
    folders = [out_dir, *(out_dir / name for name in list(cfg.retrieve.names)[1:])]
    model = retriever_from(cfg)

    tokenizer = model.tokenizer("document")
    words = term_words(tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))), model.vocab_size)
    with progress(desc=name, unit="doc", total=len(collection)) as bar:
        documents = with_texts(encoder_from(cfg, model, "document"), collection, bar.update)
        written = target.write_documents(out_dir, documents, words)
    logger.info("%s: %d documents, %d of them without terms", out_dir, *written)
    encoder = encoder_from(cfg, model, "query")
    for folder, queries in zip(folders, query_sets, strict=True):
        with progress(desc=name, unit="query", total=len(queries)) as bar:
            written = target.write_queries(folder, encoder.encode(queries, encoded=bar.update), words)
        logger.info("%s: %d queries, %d of them without terms", folder, *written)


def with_texts(
    encoder: Encoder, texts: Iterable[Text], encoded: Callable[[int], object] | None = None
) -> Iterator[tuple[SparseBatch, Sequence[str]]]:
    """The batches of ``encoder`` with the texts they are of; memory: the texts the encoder reads ahead.

    ``encoded`` as in :meth:`Encoder.encode`.
    """
    ahead: deque[str] = deque()

    def read() -> Iterator[Text]:
        for text in texts:
            ahead.append(text.text)
            yield text

    for batch in encoder.encode(read(), encoded=encoded):
        yield batch, [ahead.popleft() for _ in batch.ids]


main = command(create_anserini)

if __name__ == "__main__":
    main()
