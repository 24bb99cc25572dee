"""Three models from MiniLM, trained here to the numbers of terms of published kinds.

``long`` and ``v3`` have one encoder for both sides. ``eff`` has, as published efficient models do, a query encoder of
its own for very short queries. It learns with the document encoder of ``v3``, which is frozen, so that both have the
same documents' vectors.
"""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from torch import nn

from benchmarks.real_data.run import encoder_folder
from splade.files import InputError, whole_folder
from splade.models import Splade

HERE = Path(__file__).resolve().parent
BIAS = -4.5  # of the head at the start: more terms than any target, since training by itself thins out vectors


class Recipe(NamedTuple):
    """A model, and the number of terms that it is trained to."""

    name: str
    query_terms: float
    document_terms: float
    lambda_q: float  # weights that the controllers go on from
    lambda_d: float
    steps: int
    sentences: int = 0  # to encode; 0: all
    documents_of: str = ""  # the model whose document encoder it has, frozen; its own where empty


LONG = Recipe("long", 60, 140, 5e-4, 2e-3, 120)
V3 = Recipe("v3", 25, 120, 5e-3, 3e-4, 170, 90_000)
EFF = Recipe("eff", 6, 120, 3e-2, 1e-3, 120, 90_000, "v3")
RECIPES = {recipe.name: recipe for recipe in (LONG, V3, EFF)}


def write_start(folder: Path, layers: int) -> Path:
    """all-MiniLM-L6-v2's last ``layers`` with its embeddings, and these as the head; as it is where it stands."""
    if folder.exists():
        return folder
    model = Splade(encoder_folder(), head="tied_identity", head_bias=BIAS, pool_special_tokens=False, max_length=64)
    encoder = model.encoders["document"]
    body = encoder.mlm.base_model
    if not 1 <= layers <= len(body.encoder.layer):
        raise InputError(f"--layers must be 1 to {len(body.encoder.layer)}, which the model has, got {layers}")
    body.encoder.layer = nn.ModuleList(list(body.encoder.layer)[-layers:])
    for config in (body.config, encoder.mlm.config):
        config.num_hidden_layers = layers
        config.hidden_dropout_prob = config.attention_probs_dropout_prob = (
            0.0  # it would hide terms from the controllers
        )
    with whole_folder(folder) as made:
        encoder.save(made)
        model.tokenizer("document").save_pretrained(made)
    return folder


def train(out: Path, recipe: Recipe, start: Path, pairs: Path, *, steps: int = 0) -> Path:
    """The folder of the trained model, ``out/model``; trained now unless it stands there whole."""
    model = out / "model"
    if not model.exists() or not (out / "trained").exists():
        subprocess.run(_command(out, recipe, start, pairs, steps or recipe.steps), check=True)
        (out / "trained").touch()  # a model that is saved on the way is not the last one
    return model


def _command(out: Path, recipe: Recipe, start: Path, pairs: Path, steps: int) -> list[str]:
    frozen = out.parent / recipe.documents_of / "model"
    documents, own_queries = start, []
    if recipe.documents_of:
        documents = frozen
        own_queries = [f"+init_dict.model_type_or_dir_q={frozen}", "+init_dict.freeze_d_model=true"]
    return [
        *(sys.executable, "-m", "splade.train", "--config-dir", str(HERE), "--config-name", "training"),
        f"init_dict.model_type_or_dir={documents}",
        *own_queries,
        f"config.checkpoint_dir={out}",
        f"config.nb_iterations={steps}",
        f"config.warmup_steps={steps // 12}",
        f"config.regularizer.L1.lambda_q={recipe.lambda_q}",
        f"config.regularizer.L1.target_q={recipe.query_terms}",
        f"config.regularizer.FLOPS.lambda_d={recipe.lambda_d}",
        f"config.regularizer.FLOPS.target_d={recipe.document_terms}",
        f"data.TRAIN.D_COLLECTION_PATH={pairs}",
        f"data.TRAIN.Q_COLLECTION_PATH={pairs}:train",
        f"data.TRAIN.QREL_PATH={pairs}:train",
    ]
