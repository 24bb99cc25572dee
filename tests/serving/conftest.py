"""A server for the tests of this folder."""

import pytest

from splade.indexing import InvertedIndex, Vocabulary
from splade.records import Text
from tests.conftest import ROOT
from tests.serving.parts import DOCUMENTS, serving_of, write


@pytest.fixture(scope="package")
def serving(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    write(folder, DOCUMENTS)
    made = serving_of(folder)
    yield made
    made.close()


@pytest.fixture(scope="package")
def table(tmp_path_factory):
    """A model whose queries are looked up, and an index of its documents."""
    from splade.encoding import Encoder  # here and in the next line: most tests of this folder need no torch
    from splade.models import SpladeTable, save_retriever

    folder = tmp_path_factory.mktemp("table")
    model = SpladeTable(ROOT / "data/toy/encoder", max_length=32)
    save_retriever(model, folder / "checkpoint/model")
    texts = folder / "raw.tsv"
    texts.write_text("".join(f"{id}\t{text}\n" for id, text in DOCUMENTS.items()))
    encoder = Encoder(model, "document")
    batch = encoder.encode_all([Text(id, text) for id, text in DOCUMENTS.items()])
    metadata = {"collection": str(texts)}
    index = InvertedIndex.from_csr(
        batch, fingerprint=model.fingerprint(), metadata=metadata, vocabulary=Vocabulary(encoder.terms)
    )
    index.save(folder / "index")
    return folder, model, index
