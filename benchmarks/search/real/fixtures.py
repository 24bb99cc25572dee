"""Query vectors of published models from files of JSON lines ``{"id": …, "vector": {TOKEN: WEIGHT}}``."""

import json
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from splade.files import InputError

FILES = {"splade-v3-scifact": "scifact.splade-v3.jsonl", "splade-pp-scifact": "scifact.splade-pp-ed.jsonl",
         "splade-v3-dl19": "dl19.splade-v3.jsonl"}  # fmt: skip
VOCABULARY = "bert-base-uncased-vocab.txt"
SCALE = 100.0  # of the whole numbers in the files


def read_fixtures(folder: Path) -> dict[str, sp.csr_matrix]:
    """The query sets that stand in ``folder``, CSR [queries, V] float32; none where the vocabulary is missing."""
    if not (folder / VOCABULARY).is_file():
        return {}
    tokens = (folder / VOCABULARY).read_text(encoding="utf-8").splitlines()
    numbers = {token: number for number, token in enumerate(tokens)}
    paths = {name: folder / file for name, file in FILES.items()}
    return {name: read_vectors(path, numbers) for name, path in paths.items() if path.is_file()}


def read_vectors(path: Path, numbers: dict[str, int]) -> sp.csr_matrix:
    """The vectors of one file, a row a line, weights divided by SCALE; InputError names a token that is unknown."""
    columns, weights, offsets = [], [], [0]
    for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        vector = json.loads(text)["vector"]
        unknown = [token for token in vector if token not in numbers]
        if unknown:
            raise InputError(
                f"{path}:{line}: {VOCABULARY} has no token {unknown[0]!r}; give the vocabulary of the model"
            )
        columns += [numbers[token] for token in vector]
        weights += vector.values()
        offsets.append(len(columns))
    matrix = sp.csr_matrix(
        (np.array(weights, np.float32) / np.float32(SCALE), np.array(columns, np.int32), offsets),
        shape=(len(offsets) - 1, len(numbers)),
    )
    matrix.sort_indices()
    return matrix
