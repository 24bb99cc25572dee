"""The shipped configs, by how they are run; the one for inference runs with tiny models under the names it gives.

Trainings are tried in test_every_recipe_learns.py.
"""

import numpy as np
import pytest

from splade.config import conf_dir, config_names
from splade.encoding import Encoder
from splade.files import read_json
from splade.models import Splade
from splade.records import Text
from tests.commands.world import PASSAGES, QUESTIONS

CONFIGS = config_names(conf_dir())
INFERENCE = {"efficient_splade/config_V_from_huggingface", "config_reranker_toy"}
RERANKERS = {"config_reranker_train_toy", "config_rerank_train_T5_3b"}
MULTI_NEGATIVE = ("config_hf_", "splade_v3", "config_llm_", "config_inference_free_l0")
HF = {name for name in CONFIGS if any(part in name for part in MULTI_NEGATIVE)}
DISTIL = {"config_distil_toy", "config_distil_msmarco"}  # tried in test_distil_command.py
TRAINED = [name for name in CONFIGS if name not in INFERENCE | RERANKERS | HF | DISTIL]


def test_the_table_of_published_configs_is_shipped():
    efficient = [
        f"efficient_splade/config_{kind}_{size}" for kind in ("V", "BT_VI") for size in ("large", "medium", "small")
    ]
    efficient += [f"efficient_splade/config_VI_doc_{size}" for size in ("medium", "small")]
    plus = ["max", "msedistil", "selfdistil", "ensembledistil", "cocondenser_selfdistil", "cocondenser_ensembledistil"]
    published = {
        "config_default",
        "config_splade",
        *(f"config_splade++_{name}" for name in plus),
        "config_splade++_cocondenser_ensembledistil_monogpu",
        *efficient,
        "config_hf_splade_l1q",
        *(f"config_hf_{kind}_sigir23_32neg_{how}" for kind in ("splade", "dense") for how in ("distil", "nodistil")),
        "config_splade_v3",
        "config_splade_v3_distilbert",
        "config_splade_v3_lexical",
        "config_splade_v3_doc",
        "config_inference_free_l0",
        "config_li_lsr",
        "config_df_flops",
        "config_llm_1b",
        "config_llm_8b",
        "config_mid_training",
        "config_mid_training_toy",
        *INFERENCE,
        *RERANKERS,
    }
    assert published <= set(CONFIGS)


def test_the_inference_config_searches_with_the_query_encoder_and_indexes_with_the_document_encoder(
    splade, workplace, tmp_path
):
    where = (f"config.index_dir={tmp_path}/index", f"config.out_dir={tmp_path}/out")
    for name in ("index", "retrieve"):
        splade(name, *where, cwd=workplace, SPLADE_CONFIG_NAME="efficient_splade/config_V_from_huggingface")
    encoders = {
        side: Splade(str(workplace / f"naver/efficient-splade-V-large-{suffix}"))
        for side, suffix in (("document", "doc"), ("query", "query"))
    }
    documents = dense(encoders["document"], PASSAGES)
    run = read_json(tmp_path / "out" / "MSMARCO" / "run.json")
    for query, text in QUESTIONS.items():
        scores = documents @ dense(encoders["query"], [text])[0]
        assert {doc: pytest.approx(scores[int(doc[1:])], rel=1e-4) for doc in run[query]} == run[query]
        assert len(run[query]) == int((scores > 0).sum())
    swapped = documents @ dense(encoders["document"], [QUESTIONS["q0"]])[0]
    assert run["q0"]["d0"] != pytest.approx(swapped[0], rel=1e-3)  # the two encoders do differ


def dense(model, texts):
    batch = Encoder(model, "document").encode_all([Text(str(n), text) for n, text in enumerate(texts)])
    matrix = np.zeros((len(texts), batch.vocab_size), np.float32)
    rows = np.repeat(np.arange(len(texts)), np.diff(batch.rows.offsets))
    matrix[rows, batch.rows.columns] = batch.rows.weights
    return matrix
