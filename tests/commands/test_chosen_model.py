"""A model folder is used as what it is, whatever the config names it as."""

import pytest

from splade.config import configure
from splade.encoding import Encoder
from splade.files import InputError
from splade.models import Splade, SpladeDoc, SpladeTopK, save_retriever
from splade.records import Text
from splade.workflow.model_loading import retriever_from
from tests.tiny import tiny_mlm

TEXT = [Text("q", "honey bee and the king")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    mlm = [tiny_mlm(root / f"mlm{seed}", hidden=16, layers=1, seed=seed) for seed in range(2)]
    saved = {
        "two": Splade(mlm[0], model_type_or_dir_q=mlm[1]),
        "doc": SpladeDoc(mlm[0]),
        "top": SpladeTopK(mlm[0], top_d=5, top_q=3),
        "unpooled": Splade(mlm[0], pool_special_tokens=False),
    }
    for name, model in saved.items():
        save_retriever(model, root / name / "model")
    return root


def chosen(folders, name, *overrides):
    named = f"init_dict.model_type_or_dir={folders / name / 'model'}"
    return retriever_from(configure("retrieve", [named, "config.pretrained_no_yamlconfig=true", *overrides]))


def query_vector(model):
    rows = Encoder(model, "query").encode_all(TEXT).rows
    return dict(zip(rows.columns.tolist(), rows.weights.tolist(), strict=True))


def test_a_saved_model_with_two_encoders_answers_queries_with_the_query_encoder(folders):
    model = chosen(folders, "two")
    assert not model.shares_encoder
    straight = Splade(folders / "mlm0", model_type_or_dir_q=folders / "mlm1")
    assert query_vector(model) == pytest.approx(query_vector(straight))
    assert query_vector(model) != pytest.approx(query_vector(Splade(folders / "mlm0")))


def test_kind_and_pooling_of_a_saved_model_are_kept(folders):
    assert chosen(folders, "top").settings()["top_d"] == 5
    assert chosen(folders, "unpooled").settings()["pool_special_tokens"] is False
    assert type(chosen(folders, "doc", "config.matching_type=splade_doc")) is SpladeDoc


def test_a_kind_that_the_user_names_and_the_folder_is_not_is_refused(folders):
    with pytest.raises(InputError, match=r"config\.matching_type=splade means .* is a SpladeDoc"):
        chosen(folders, "doc", "config.matching_type=splade")


def test_a_setting_that_would_not_be_read_is_refused(folders):
    with pytest.raises(InputError, match=r"init_dict\.agg=sum, but the model in .* has agg=max"):
        chosen(folders, "two", "init_dict.agg=sum")


def test_the_same_beside_a_checkpoint(folders):
    checkpoint = f"config.checkpoint_dir={folders / 'top'}"
    with pytest.raises(InputError, match=r"init_dict\.agg=sum"):
        retriever_from(configure("retrieve", [checkpoint, "init_dict.agg=sum"]))
    fewer = ["config.matching_type=splade_topk", "init_dict.top_q=2"]
    assert len(query_vector(retriever_from(configure("retrieve", [checkpoint, *fewer])))) == 2
    assert len(query_vector(retriever_from(configure("retrieve", [checkpoint])))) == 3


def test_lengths_are_those_of_the_config_and_held_against_the_model(folders):
    model = chosen(folders, "two", "config.max_length=20")
    assert (model.max_length("document"), model.max_length("query")) == (20, 20)
    with pytest.raises(InputError, match="positions"):
        chosen(folders, "two", "config.max_length=4000")


def test_no_model_is_an_error_that_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(InputError, match="there is no trained model in"):
        retriever_from(configure("retrieve", [f"config.checkpoint_dir={tmp_path}"]))
    assert not list(tmp_path.iterdir())
