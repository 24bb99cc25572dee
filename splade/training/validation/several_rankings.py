"""Validation on several data sets at once: each one's metrics, and their means."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from splade.data.collections.opening import open_collection, open_queries
from splade.data.qrels import read_qrels
from splade.data.text_files.sources import split_of
from splade.files import InputError
from splade.models import Retriever
from splade.training.validation.full_ranking import FullRanking

ADDRESS = "data.VALIDATION_FULL_RANKING.BEIR"


class SeveralRankings:
    """The mean of each metric over ``rankings``, under the metric's name, and each one's own as ``NAME/metric``."""

    def __init__(self, rankings: Mapping[str, FullRanking]) -> None:
        self.rankings = dict(rankings)

    def columns(self, figures: Sequence[str]) -> list[str]:
        """Name the results of a call, where the metrics give ``figures``: the means first, then each data set's own."""
        return [*figures, *(f"{name}/{figure}" for name in self.rankings for figure in figures)]

    def __call__(self, model: Retriever, metrics: Sequence[str]) -> dict[str, float]:
        """The ``metrics`` of the model as it is."""
        found = {name: ranking(model, metrics) for name, ranking in self.rankings.items()}
        figures = next(iter(found.values()))
        means = {figure: fmean(own[figure] for own in found.values()) for figure in figures}
        return means | {f"{name}/{figure}": own[figure] for name, own in found.items() for figure in figures}


def beir_rankings(
    sources: Sequence[str], *, top_k: int = 1000, batch_size: int = 32, fp16: bool = False
) -> SeveralRankings:
    """Full rankings of BEIR folders (``FOLDER``, or ``FOLDER:split``) or ids of ir_datasets, by BEIR's conventions.

    A set is called as its folder, or as the last part of its id. InputError where two are called alike, or nothing
    is named.
    """
    rankings: dict[str, FullRanking] = {}
    for source in sources:
        folder, _ = split_of(source)
        name = folder.rstrip("/").rpartition("/")[2]
        if name in rankings:
            raise InputError(f"{ADDRESS}: two sets are called {name}; give each once, in a folder with its own name")
        parts = open_collection(folder), open_queries(source), read_qrels(source)
        rankings[name] = FullRanking(*parts, top_k=top_k, batch_size=batch_size, fp16=fp16, drop_self_matches=True)
    if not rankings:
        raise InputError(
            f"{ADDRESS} is an empty list: name BEIR folders, FOLDER or FOLDER:split, or ids of ir_datasets"
        )
    return SeveralRankings(rankings)
