"""A model whose sides differ, and a BEIR folder with self-matches, for harnesses of others."""

import csv
from pathlib import Path

import pytest

from splade.models import Splade, save_retriever
from tests.commands.conftest import splade  # noqa: F401 - a fixture
from tests.data.writing import jsonl
from tests.tiny import tiny_mlm

TOY = Path(__file__).parents[2] / "data/toy"


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder, the model in ``model/``; queries have a prompt and a length of their own."""
    folder = tmp_path_factory.mktemp("checkpoint")
    tiny_mlm(folder / "mlm", hidden=16, layers=1)
    model = Splade(folder / "mlm", max_length=60, max_length_q=24, prompt_q="what is the query ? ")
    save_retriever(model, folder / "model")
    return folder


@pytest.fixture(scope="session")
def arguana(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of BEIR sets with one called arguana, where documents are queries: 120 documents, 60 queries."""
    folder = tmp_path_factory.mktemp("beir")
    with (TOY / "collection/raw.tsv").open() as stream:
        rows = list(csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))[:120]
    documents = [{"_id": doc_id, "title": doc_id.split("-")[0] * (place % 3), "text": text}
                 for place, (doc_id, text) in enumerate(rows)]  # fmt: skip
    queries = [{"_id": doc_id, "text": text} for doc_id, text in rows[::2]]
    jsonl(folder / "arguana/corpus.jsonl", documents)
    jsonl(folder / "arguana/queries.jsonl", queries)
    judged = [f"{query['_id']}\t{rows[(2 * place + step) % 120][0]}\t{1 + step % 2}"
              for place, query in enumerate(queries) for step in (0, 1, 2)]  # fmt: skip
    (folder / "arguana/qrels").mkdir()
    (folder / "arguana/qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(judged) + "\n")
    return folder
