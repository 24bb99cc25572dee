"""Tiny models and tokenizers made on the spot, so that tests need no download.

Weights are random but not arbitrary: a token's own term scores high for it (the head's transform is
close to the identity and its matrix is the embedding matrix), and the head's bias is set so that a
short text has about twenty active terms.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertModel,
    DistilBertConfig,
    DistilBertForMaskedLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
    T5Config,
    T5ForConditionalGeneration,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
)

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
PUNCTUATION = ".,?!'-:"
WORDS = """the a of and to in is was for on with as by at from that this it be are an or not which how what when where
who why do does can into about over under between after before more most many some one two three new old large small
long high low water air heat wind sea river rain snow ice fire earth stone sand metal iron gold copper light dark sound
wave speed flow pressure wing flight plane engine wheel road bridge train ship boat house city town field farm garden
tree leaf root seed flower grass wheat rice bread milk honey salt sugar fish bird cat dog horse cow sheep bee ant heart
blood bone brain eye hand skin cell virus drug dose pain sleep food diet king queen war peace law tax money bank trade
market price book word letter page song music drum string paint color red blue green white black star moon sun planet
orbit rock map north south east west year day night hour winter summer spring child mother father school teacher
student language number sum graph model test result method theory history machine computer memory network query
document relevant true false index search term weight yes s ing ed er""".split()  # noqa: SIM905 - a paragraph reads better than 250 quoted words
SAMPLE = (
    "the heat of the sun and the water of the sea",
    "a bridge over the river for the train",
    "what is the speed of sound in air",
    "bees make honey from the flower",
    "the king and the queen",
    "iron",
)


def tiny_vocabulary(extra: Iterable[str] = ()) -> list[str]:
    """The WordPiece tokens in id order: specials (id 0 is padding), letters, their continuations, words."""
    pieces = [*SPECIAL, *LETTERS, *PUNCTUATION, *(f"##{letter}" for letter in LETTERS), *WORDS, *extra]
    return list(dict.fromkeys(pieces))


def tiny_tokenizer(extra: Iterable[str] = ()) -> PreTrainedTokenizerFast:
    """A lower-casing WordPiece tokenizer with [CLS] and [SEP] around a text or a pair."""
    vocabulary = {token: number for number, token in enumerate(tiny_vocabulary(extra))}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=512,
    )


def tiny_mlm(
    folder: str | Path,
    *,
    vocab_extra: Sequence[str] = (),
    arch: str = "bert",
    hidden: int = 32,
    layers: int = 2,
    seed: int = 0,
    active: int = 20,
) -> Path:
    """A masked language model and its tokenizer in ``folder``, any of :data:`ARCHITECTURES`; returns the folder.

    Takes texts of up to 512 tokens; a short text has about ``active`` terms above zero.
    """
    tokenizer = tiny_tokenizer(vocab_extra)
    width = len(tokenizer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = ARCHITECTURES[arch](width, hidden, layers)
        _favour_own_terms(model)
    _calibrate(model.eval(), tokenizer, active)
    return _save(model, tokenizer, folder)


def tiny_encoder(
    folder: str | Path, *, vocab_extra: Sequence[str] = (), hidden: int = 32, layers: int = 2, seed: int = 0
) -> Path:
    """A BERT encoder without a masked-language-model head, with its tokenizer; returns the folder."""
    tokenizer = tiny_tokenizer(vocab_extra)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(_bert_config(len(tokenizer), hidden, layers), add_pooling_layer=False)
        _spread_embeddings(model)
        norm = model.encoder.layer[-1].output.LayerNorm
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        torch.nn.init.normal_(norm.bias, std=0.1)
    return _save(model, tokenizer, folder)


def tiny_bpe() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer like those of decoder language models: keeps capitals, has no padding token."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<|begin|>", "<|endoftext|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=special, initial_alphabet=alphabet)
    backend.train_from_iterator([f" {word}" for word in WORDS], trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="<|begin|> $A", pair="<|begin|> $A $B", special_tokens=[("<|begin|>", 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<|begin|>", eos_token="<|endoftext|>", model_max_length=512
    )


def tiny_decoder(
    folder: str | Path, *, arch: str = "llama", tied: bool = True, hidden: int = 32, layers: int = 2, seed: int = 0
) -> Path:
    """A decoder language model and its tokenizer in ``folder``, any of :data:`DECODERS`; returns the folder.

    Two key heads serve four query heads. As its head has no bias, about half of all terms are above zero.
    """
    tokenizer = tiny_bpe()
    common = _common(len(tokenizer), hidden, layers) | {"num_attention_heads": 4, "pad_token_id": None}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = AutoConfig.for_model(
            arch,
            **common,
            num_key_value_heads=2,
            head_dim=8,
            tie_word_embeddings=tied,
            bos_token_id=0,
            eos_token_id=1,
            initializer_range=0.2,
        )
        model = AutoModelForCausalLM.from_config(config)
    return _save(model, tokenizer, folder)


def tiny_cross_encoder(folder: str | Path, *, hidden: int = 32, layers: int = 2, seed: int = 0) -> Path:
    """A BERT classifier of text pairs with one output, with its tokenizer; returns the folder."""
    tokenizer = tiny_tokenizer()
    config = _bert_config(len(tokenizer), hidden, layers)
    config.num_labels = 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertForSequenceClassification(config)
    return _save(model, tokenizer, folder)


def tiny_t5(folder: str | Path, *, hidden: int = 32, layers: int = 2, seed: int = 0) -> Path:
    """An encoder-decoder with a Unigram tokenizer that knows ``▁true``, ``▁false`` and ``<extra_id_10>``."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -6.0)]
    pieces += [(f"▁{word}", -3.0) for word in dict.fromkeys(WORDS)]
    pieces += [(symbol, -8.0) for symbol in LETTERS + LETTERS[:26].upper() + PUNCTUATION]
    backend = Tokenizer(models.Unigram(pieces, unk_id=2))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    backend.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=512
    )
    tokenizer.add_special_tokens({"additional_special_tokens": [f"<extra_id_{number}>" for number in range(12)]})
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=hidden,
        d_kv=hidden // 2,
        d_ff=2 * hidden,
        num_layers=layers,
        num_heads=2,
        dropout_rate=0.1,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = T5ForConditionalGeneration(config)
    return _save(model, tokenizer, folder)


def _common(width: int, hidden: int, layers: int) -> dict[str, Any]:
    return {
        "vocab_size": width,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "intermediate_size": 2 * hidden,
        "pad_token_id": 0,
        "max_position_embeddings": 512,
    }


def _bert_config(width: int, hidden: int, layers: int) -> BertConfig:
    return BertConfig(**_common(width, hidden, layers))


def _bert(width: int, hidden: int, layers: int) -> PreTrainedModel:
    return BertForMaskedLM(_bert_config(width, hidden, layers))


def _distilbert(width: int, hidden: int, layers: int) -> PreTrainedModel:
    return DistilBertForMaskedLM(
        DistilBertConfig(vocab_size=width, dim=hidden, n_layers=layers, n_heads=2, hidden_dim=2 * hidden)
    )


def _roberta(width: int, hidden: int, layers: int) -> PreTrainedModel:
    config = {**_common(width, hidden, layers), "max_position_embeddings": 513, "type_vocab_size": 1}
    return RobertaForMaskedLM(RobertaConfig(**config, bos_token_id=2, eos_token_id=3))


def _xlm_roberta(width: int, hidden: int, layers: int) -> PreTrainedModel:
    config = {**_common(width, hidden, layers), "max_position_embeddings": 513, "type_vocab_size": 1}
    return XLMRobertaForMaskedLM(XLMRobertaConfig(**config, bos_token_id=2, eos_token_id=3))


def _modernbert(width: int, hidden: int, layers: int) -> PreTrainedModel:
    from transformers import ModernBertConfig, ModernBertForMaskedLM  # importing it compiles, in transformers 4

    tokens = {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
    return ModernBertForMaskedLM(
        ModernBertConfig(**_common(width, hidden, layers), **tokens, reference_compile=False, local_attention=64)
    )


ARCHITECTURES: dict[str, Callable[[int, int, int], PreTrainedModel]] = {
    "bert": _bert,
    "distilbert": _distilbert,
    "roberta": _roberta,
    "modernbert": _modernbert,
    "xlm-roberta": _xlm_roberta,
}

DECODERS = [name for name in ("gemma", "llama", "mistral", "qwen2", "qwen3") if name in CONFIG_MAPPING]
"""Decoder language models that the installed transformers has."""


def _spread_embeddings(model: PreTrainedModel) -> None:
    """Words far apart, positions nearly alike: hidden states then follow the words."""
    for name, parameter in model.named_parameters():
        if name.endswith("embeddings.weight"):
            torch.nn.init.normal_(parameter, std=0.02 if "position" in name or "type" in name else 1.0)


def _favour_own_terms(model: PreTrainedModel) -> None:
    _spread_embeddings(model)
    for name, parameter in model.named_parameters():
        if name.endswith(("transform.dense.weight", "vocab_transform.weight", "lm_head.dense.weight")) or (
            name == "head.dense.weight"
        ):
            torch.nn.init.normal_(parameter, std=0.05)
            parameter.data += 2 * torch.eye(parameter.shape[0])


@torch.no_grad()
def _calibrate(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, active: int) -> None:
    bias = model.get_output_embeddings().bias
    thresholds = []
    for text in SAMPLE:
        logits = model(**tokenizer(text, return_tensors="pt", return_token_type_ids=False)).logits - bias
        thresholds.append(logits[0].amax(dim=0).sort(descending=True).values[active])
    bias.fill_(-float(torch.stack(thresholds).mean()))


def _save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: str | Path) -> Path:
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
