"""Write the collection and the queries as sparse vectors for Anserini (Lucene)."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig

from splade.config import command
from splade.data.collections.opening import open_collection, open_queries
from splade.encoding import Encoder
from splade.exporting.anserini import term_words, write_documents, write_queries
from splade.files import InputError
from splade.progress import progress
from splade.records import SparseBatch, Text
from splade.workflow.encoding import encoder_from
from splade.workflow.model_loading import retriever_from

logger = logging.getLogger(__name__)


def create_anserini(cfg: DictConfig) -> None:
    """Write ``docs_anserini.jsonl`` and ``queries_anserini.tsv`` into ``config.out_dir``.

    The queries of the first set of ``data.Q_COLLECTION_PATH`` go into ``out_dir`` itself, those of
    further sets into ``out_dir/<NAME>/``: their ids may overlap.
    """
    document_factor = _factor(cfg, "quantization_factor_document")
    query_factor = _factor(cfg, "quantization_factor_query")
    out_dir = Path(cfg.retrieve.out_dir)
    collection = open_collection(cfg.index.collection)
    query_sets = [open_queries(path) for path in cfg.retrieve.queries]
    folders = [out_dir, *(out_dir / name for name in list(cfg.retrieve.names)[1:])]
    model = retriever_from(cfg)

    tokenizer = model.tokenizer("document")
    words = term_words(tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))), model.vocab_size)
    path = out_dir / "docs_anserini.jsonl"
    with progress(desc="anserini", unit="doc", total=len(collection)) as bar:
        documents = with_texts(encoder_from(cfg, model, "document"), collection, bar.update)
        written = write_documents(path, documents, words, document_factor)
    logger.info("%s: %d documents, %d of them without terms", path, *written)
    encoder = encoder_from(cfg, model, "query")
    for folder, queries in zip(folders, query_sets, strict=True):
        path = folder / "queries_anserini.tsv"
        with progress(desc="anserini", unit="query", total=len(queries)) as bar:
            written = write_queries(path, encoder.encode(queries, encoded=bar.update), words, query_factor)
        logger.info("%s: %d queries, %d of them without terms", path, *written)


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


def _factor(cfg: DictConfig, name: str) -> float:
    factor = cfg.anserini[name]
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not factor > 0:
        raise InputError(f"{name}={factor!r}: expected a number above 0; append +{name}=100 to the command")
    return float(factor)


main = command(create_anserini)

if __name__ == "__main__":
    main()
