"""Start from an encoder that has no masked-language-model head.

The head's dense layer becomes the identity and its matrix the word embeddings, so that a hidden state,
after the head's activation and layer norm, scores the words whose embeddings it points to; one negative
bias for all terms keeps most of them at zero. With [CLS] and [SEP] out of the pooling this retrieves
before any training: all-MiniLM-L6-v2 reading 64 tokens gives, on Cranfield, nDCG@10 .256 with 307 terms
per document at bias -5, .288 with 6,582 at -3 and .244 with 87 at -6. Longer texts have more terms.

Everything stays trainable, and what is saved is an ordinary masked language model.
"""

from typing import Any

from torch import nn

from splade.files import InputError
from splade.models.backbones.layouts import find_head, supported_architectures


def tie_identity(mlm: Any, bias: float, source: object) -> None:
    """Give ``mlm`` an identity transform, its word embeddings as decoder and the same ``bias`` for every term.

    In place. Raises InputError where the place of the head is not known, where it has no bias, or where
    hidden states and word embeddings differ in width; ``source`` names the model in the message.
    """
    head = find_head(mlm)
    if head is None:
        raise InputError(
            f"{source}: init_dict.head=tied_identity needs to know where the head of model type "
            f"{mlm.config.model_type!r} lies; known are {supported_architectures()}. "
            "Use one of these, or weights with a trained head and init_dict.head=pretrained"
        )
    embeddings = mlm.get_input_embeddings().weight
    width = mlm.config.hidden_size
    if embeddings.shape[1] != width:
        raise InputError(
            f"{source}: hidden states have {width} dimensions but word embeddings {embeddings.shape[1]}, so "
            "init_dict.head=tied_identity cannot score one by the other; use init_dict.head=new and train"
        )
    if head.decoder.bias is None or head.dense is None:
        raise InputError(f"{source}: the head has no bias, which init_dict.head=tied_identity needs to be sparse")
    nn.init.eye_(head.dense.weight)
    norm: Any = head.norm
    nn.init.ones_(norm.weight)
    for offset in (head.dense.bias, norm.bias):
        if offset is not None:
            nn.init.zeros_(offset)
    head.decoder.weight = embeddings
    nn.init.constant_(head.decoder.bias, bias)
