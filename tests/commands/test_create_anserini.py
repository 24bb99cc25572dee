"""``create_anserini``: files for Lucene from a collection and queries."""

import json

import pytest
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from splade import create_anserini as command
from splade.workflow import encoding
from splade.workflow.exported import models
from tests.commands.fakes import FakeEncoder, FakeModel


@pytest.fixture
def cfg(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "model_from", lambda cfg: FakeModel())
    monkeypatch.setattr(encoding, "encoder_from", lambda cfg, model, side: FakeEncoder())
    for name, text in {
        "documents": "d1\tcat dog\nd2\tbird\nd3\tnone of them\nd4\tfish fish\nd5\tdog dog dog\n",
        "queries": "q1\tcat dog dog\nq2\twords\n",
        "more": "q1\tbird\n",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "raw.tsv").write_text(text)
    return OmegaConf.create(
        {
            "export": {
                "_target_": "splade.exporting.anserini.Anserini",
                "quantization_factor_document": 100,
                "quantization_factor_query": 2,
            },
            "kinds": {"export": "anserini"},
            "index": {"collection": str(tmp_path / "documents")},
            "retrieve": {
                "out_dir": str(tmp_path / "out"),
                "queries": [str(tmp_path / "queries"), str(tmp_path / "more")],
                "names": ["DEV", "MORE"],
            },
        }
    )


def test_every_document_and_query_is_written_in_order_with_its_text(cfg, tmp_path):
    command.create_anserini(cfg)
    lines = [json.loads(line) for line in (tmp_path / "out" / "docs_anserini.jsonl").read_text().splitlines()]
    assert [(line["id"], line["content"], line["vector"]) for line in lines] == [
        ("d1", "cat dog", {"cat": 50, "dog": 50}),
        ("d2", "bird", {"bird": 50}),
        ("d3", "none of them", {"[no_document_terms]": 1}),
        ("d4", "fish fish", {"fish": 100}),
        ("d5", "dog dog dog", {"dog": 150}),
    ]
    assert (tmp_path / "out" / "queries_anserini.tsv").read_text() == "q1\tcat dog dog\nq2\t[no_query_terms]\n"
    assert (tmp_path / "out" / "MORE" / "queries_anserini.tsv").read_text() == "q1\tbird\n"


@pytest.mark.parametrize("factor", [None, 0, -1, "many", True])
def test_a_missing_or_odd_factor_is_refused_with_what_to_append(cfg, tmp_path, factor):
    cfg.export.quantization_factor_query = factor
    with pytest.raises(InstantiationException, match=r"append \+quantization_factor_query=100 to the command"):
        command.create_anserini(cfg)
    assert not (tmp_path / "out").exists()


def test_an_interruption_leaves_no_half_file(cfg, tmp_path, monkeypatch):
    class Interrupted(FakeEncoder):
        def encode(self, texts, *, encoded=None):
            yield next(super().encode(texts))
            raise KeyboardInterrupt

    monkeypatch.setattr(encoding, "encoder_from", lambda cfg, model, side: Interrupted())
    with pytest.raises(KeyboardInterrupt):
        command.create_anserini(cfg)
    assert not (tmp_path / "out").exists()
