"""Start from an encoder that has no masked-language-model head.

The head's transform becomes the identity and its matrix the word embeddings, so a hidden state
scores the words whose embeddings it points to; one negative bias for all terms keeps most of them at
zero. With [CLS] and [SEP] out of the pooling this retrieves before any training: all-MiniLM-L6-v2
gives nDCG@10 of about .25 on Cranfield with bias -5 and about 300 terms per document.

The identity is computed as such: the transform is skipped. For programs that know nothing of it, the
same function is also written into the transform's weights when a model is saved. If the last layer
norm gives ``h = g * n + b`` with ``n`` of mean 0 and variance 1, then ``dense`` set to ``h -> n + c``,
with ``c`` so large that the activation is linear there, and the head's norm set to (g, b) give back ``h``.
"""

import math
from typing import Any

import torch
from torch import nn

from splade.files import InputError
from splade.models.layouts import Head, find_head, supported_architectures

SMALLEST_SCALE = 1e-6  # a layer norm's weight below this cannot be divided by


def require_head(mlm: Any, source: object) -> Head:
    """The model's head; InputError naming the known architectures where its place is not known."""
    head = find_head(mlm)
    if head is None:
        raise InputError(
            f"{source}: init_dict.head=tied_identity needs to know where the head of model type "
            f"{getattr(mlm.config, 'model_type', '?')!r} lies; known are {supported_architectures()}. "
            "Use one of these, or weights with a trained head and init_dict.head=pretrained"
        )
    return head


def tie_identity(mlm: Any, bias: float, source: object) -> None:
    """Make the decoder the word-embedding matrix and give every term the same ``bias``, in place.

    Raises InputError where hidden states and word embeddings differ in width.
    """
    head = require_head(mlm, source)
    embeddings = mlm.get_input_embeddings().weight
    width = mlm.config.hidden_size
    if embeddings.shape[1] != width:
        raise InputError(
            f"{source}: hidden states have {width} dimensions but word embeddings {embeddings.shape[1]}, so "
            "init_dict.head=tied_identity cannot score one by the other; use init_dict.head=new and train"
        )
    if head.decoder.bias is None:
        raise InputError(f"{source}: the head has no bias, which init_dict.head=tied_identity needs to be sparse")
    head.decoder.weight = embeddings
    nn.init.constant_(head.decoder.bias, bias)


def freeze_transform(mlm: Any, source: object) -> None:
    """Keep the skipped transform out of training: no optimizer state, no unused gradients."""
    head = require_head(mlm, source)
    head.dense.requires_grad_(False)
    head.norm.requires_grad_(False)


@torch.no_grad()
def write_identity(mlm: Any) -> bool:
    """Write the identity into the weights of the transform, in place; False where its form cannot hold it."""
    head = find_head(mlm)
    if head is None or head.dense.bias is None or not isinstance(head.last_norm, nn.LayerNorm):
        return False
    scale, shift = head.last_norm.weight, head.last_norm.bias
    norm = head.norm
    if not isinstance(norm, nn.LayerNorm) or norm.bias is None or shift is None:
        return False
    if float(scale.abs().min()) < SMALLEST_SCALE:
        return False
    # |n| <= sqrt(D), and GELU, ReLU and SiLU differ from the identity by less than 1e-7 above 20
    linear_region = math.sqrt(scale.shape[0]) + 20
    head.dense.weight.copy_(torch.diag(1 / scale))
    head.dense.bias.copy_(linear_region - shift / scale)
    norm.weight.copy_(scale)
    norm.bias.copy_(shift)
    return True
