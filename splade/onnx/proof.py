"""The proof of an exported model: texts, their token ids, and the vectors that the model itself made of them.

It lies beside the graphs, so that it can be repeated wherever onnxruntime is, without torch and without the model.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from splade.encoding.protocol import TextEncoder
from splade.files import InputError, read_json, whole_file, write_json
from splade.kernels.sparse import to_dense
from splade.records import SparseRows, Text, TokenBatch

TOLERANCE = 1e-4
"""The most that a weight may differ, as a share of the text's largest weight where that is above 1."""
TEXTS = (
    "",
    "iron",
    "What is the speed of sound in air?",
    "Bees make honey from the nectar of flowers, and store it for the winter.",
    "The heat of the sun lifts the water of the sea; wind carries it over land, where it falls as rain or snow.",
    "Überraschend kühl: 15 °C im Juli, sagte Frau Müller-Lüdenscheidt am 3. 7. 1998.",
    "La rivière traverse la vieille ville, puis rejoint la mer à l'ouest.",
    "東京は日本の首都です。 東京タワーは赤い。",
    "Скорость света в вакууме равна 299 792 458 метрам в секунду.",
    "def area(radius): return 3.14159 * radius ** 2  # of a circle",
    "e-mail: someone@example.org, phone +49 (0)30 123-456, see https://example.org/a?b=c#d",
    "IN CAPITALS AND   WITH   WIDE   SPACES\tand a tab\nand a second line",
    "naïve café 🙂 ½ ﬁ ǅ",
    "A market is a place where goods change hands for a price. " * 4,
    "The engine of the plane, the wheel of the train and the ship on the river. " * 12,
    "Long texts are cut where the model reads no further; what stands behind that has no weight. " * 60,
)
"""Short, long and empty ones, of several scripts."""
LENGTHS = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89)
"""Of rows of random token ids, which between them reach all of the vocabulary that texts do not."""


class Proof(NamedTuple):
    """The vectors that the model of one side made of the proof's rows: texts first, then random token ids."""

    texts: list[str]
    tokens: TokenBatch
    rows: SparseRows
    vocab_size: int


class Difference(NamedTuple):
    """The change of vectors from those of the model itself."""

    largest: float  # of one weight
    share: float  # of all weights together
    terms: float  # share of the terms that are kept
    cosine: float  # in the mean over the texts that have terms

    def said(self) -> str:
        """The difference in words."""
        return (
            f"weights change by {self.share:.3%} in the mean, by {self.largest:.2g} at most; {self.terms:.2%} of the "
            f"terms are the same; mean cosine {self.cosine:.5f}"
        )


def proof_texts(own: Sequence[Text]) -> list[Text]:
    """The texts of a proof, those of the user's ``own`` among them, under numbers as ids."""
    return [Text(str(number), text) for number, text in enumerate([*TEXTS, *(each.text for each in own)])]


def random_tokens(vocab_size: int, max_length: int) -> list[list[int]]:
    """Rows of random token ids, the longest of ``max_length``."""
    generator = np.random.default_rng(0)
    lengths = [*(length for length in LENGTHS if length < max_length), max_length]
    return [generator.integers(vocab_size, size=length).tolist() for length in lengths]


def write_proof(proof: Proof, folder: Path, side: str) -> None:
    """Write ``proof-SIDE.json`` and ``.npz``."""
    write_json(folder / f"proof-{side}.json", proof.texts)
    lengths = proof.tokens.attention_mask.sum(axis=1)
    with whole_file(folder / f"proof-{side}.npz", "wb") as stream:
        np.savez_compressed(
            stream,
            input_ids=proof.tokens.input_ids.astype(np.int32),
            lengths=lengths.astype(np.int32),
            offsets=proof.rows.offsets,
            columns=proof.rows.columns,
            weights=proof.rows.weights,
            vocab_size=np.array(proof.vocab_size),
        )


def read_proof(folder: Path, side: str) -> Proof:
    """The proof that `write_proof` wrote."""
    path = folder / f"proof-{side}.npz"
    try:
        with np.load(path, allow_pickle=False) as found:
            ids, lengths = found["input_ids"].astype(np.int64), found["lengths"].astype(np.int64)
            rows = SparseRows(found["offsets"], found["columns"], found["weights"])
            vocab_size = int(found["vocab_size"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: cannot be read ({error}). Export again") from error
    mask = (np.arange(ids.shape[1]) < lengths[:, None]).astype(np.int64)
    tokens = TokenBatch(tuple(map(str, range(len(ids)))), ids, mask)
    return Proof(read_json(folder / f"proof-{side}.json"), tokens, rows, vocab_size)


def check_tokens(proof: Proof, encoder: TextEncoder, where: Path) -> None:
    """InputError where a text of the proof becomes other token ids than the model reads."""
    found = encoder.reading().batch(proof.texts)
    for number, text in enumerate(proof.texts):
        own = found.input_ids[number][found.attention_mask[number] == 1].tolist()
        expected = proof.tokens.input_ids[number][proof.tokens.attention_mask[number] == 1].tolist()
        if own != expected:
            raise InputError(
                f"{where}: the {encoder.side} {text[:40]!r} becomes the tokens {own[:8]}… by tokenizer.json, and "
                f"{expected[:8]}… by the model's own tokenizer; this tokenizer cannot be exported"
            )


def measured(proof: Proof, encoder: TextEncoder, *, texts_only: bool = False) -> Difference:
    """The difference of the vectors that ``encoder`` makes of the proof's rows, or of its texts only."""
    n_rows = len(proof.texts) if texts_only else len(proof.tokens.ids)
    own = TokenBatch(proof.tokens.ids[:n_rows], proof.tokens.input_ids[:n_rows], proof.tokens.attention_mask[:n_rows])
    found = to_dense(encoder.encode_tokens(own).rows, proof.vocab_size)
    stop = proof.rows.offsets[n_rows]
    rows = SparseRows(proof.rows.offsets[: n_rows + 1], proof.rows.columns[:stop], proof.rows.weights[:stop])
    expected = to_dense(rows, proof.vocab_size)
    change, scale = np.abs(found - expected), np.maximum(expected.max(axis=1, initial=0), 1)
    there = expected.any(axis=1)
    norms = np.linalg.norm(found[there], axis=1) * np.linalg.norm(expected[there], axis=1)
    cosines = (found[there] * expected[there]).sum(axis=1) / np.maximum(norms, 1e-12)
    return Difference(
        largest=float((change.max(axis=1, initial=0) / scale).max(initial=0)),
        share=float(change.sum() / max(float(expected.sum()), 1e-12)),
        terms=float(((found > 0) & (expected > 0)).sum() / max(int((expected > 0).sum()), 1)),
        cosine=float(cosines.mean()) if there.any() else 1.0,
    )
