"""The names of evaluation sets and suites, and the conventions that published figures of each follow.

A set of no name here is a BEIR folder of the user's own, or ``beir/NAME`` of ir_datasets.
"""

import difflib
from collections.abc import Iterable
from typing import NamedTuple

BEIR_13 = (
    "trec-covid", "nfcorpus", "nq", "hotpotqa", "fiqa", "arguana", "webis-touche2020", "quora", "dbpedia-entity",
    "scidocs", "fever", "climate-fever", "scifact",
)  # fmt: skip
FORUMS = (
    "android", "english", "gaming", "gis", "mathematica", "physics", "programmers", "stats", "tex", "unix",
    "webmasters", "wordpress",
)  # fmt: skip
NANO = {
    "arguana": "NanoArguAna",
    "climate-fever": "NanoClimateFEVER",
    "dbpedia-entity": "NanoDBPedia",
    "fever": "NanoFEVER",
    "fiqa": "NanoFiQA2018",
    "hotpotqa": "NanoHotpotQA",
    "msmarco": "NanoMSMARCO",
    "nfcorpus": "NanoNFCorpus",
    "nq": "NanoNQ",
    "quora": "NanoQuoraRetrieval",
    "scidocs": "NanoSCIDOCS",
    "scifact": "NanoSciFact",
    "webis-touche2020": "NanoTouche2020",
}
"""NanoBEIR's sets, and the folder that each has on the hub."""
TREC_DL = tuple(f"trec-dl-{year}" for year in (2019, 2020, 2021, 2022))
CQADUPSTACK, MSMARCO, NANOBEIR = "cqadupstack", "msmarco", "nanobeir"

COMPOSITES = {CQADUPSTACK: tuple(f"{CQADUPSTACK}/{forum}" for forum in FORUMS)}
"""One data set in averages that is several: the unweighted mean of these."""
SUITES: dict[str, tuple[str, ...]] = {
    "all": BEIR_13,
    "beir13": BEIR_13,
    "mteb15": (*BEIR_13, CQADUPSTACK, MSMARCO),
    NANOBEIR: tuple(f"{NANOBEIR}/{name}" for name in NANO),
    "trec_dl": TREC_DL,
}
AVERAGES = {
    "BEIR-13": SUITES["beir13"],
    "MTEB-15": SUITES["mteb15"],
    "NanoBEIR": SUITES[NANOBEIR],
    "CQADupStack": COMPOSITES[CQADUPSTACK],
}
"""Averages by their published names: unweighted means over these sets."""
METRICS = ("ndcg_cut_10", "recall_100", "mrr_10")


class EvaluationSet(NamedTuple):
    """Documents, queries and judgements under a name, and the conventions of its published figures."""

    name: str
    split: str = "test"
    irds: tuple[str, ...] = ()  # ids of ir_datasets, the first that is known counts
    irds_documents: str | None = None  # of its documents, where several sets share them
    documents: str | None = None  # the name of documents that several sets share, and of their index
    archive: tuple[str, str] | None = None  # the large file that ir_datasets downloads: its group and key
    metrics: tuple[str, ...] = METRICS
    self_matches: str = "beir"
    titles: str = "title_text"
    relevance_level: int = 1


def units_of(names: str | Iterable[str]) -> list[str]:
    """The data sets that ``names`` stand for, each once: suites are opened, CQADupStack is one."""
    asked = [names] if isinstance(names, str) else list(names)
    return list(dict.fromkeys(unit for name in asked for unit in SUITES.get(_known(name), (_known(name),))))


def sets_of(names: str | Iterable[str], split: str | None = None) -> list[EvaluationSet]:
    """The sets that ``names`` stand for, each once: names of sets and suites, CQADupStack by its parts.

    ``split`` stands in the place of each set's own.
    """
    found = [part for unit in units_of(names) for part in COMPOSITES.get(unit, (unit,))]
    return [set_of(name, split) for name in dict.fromkeys(found)]


def set_of(name: str, split: str | None = None) -> EvaluationSet:
    """The set called ``name``."""
    if name == MSMARCO:
        return _msmarco(split or "dev")
    if name in TREC_DL:
        return _trec_dl(name, split or "test")
    if name.startswith(f"{NANOBEIR}/"):
        own = name.partition("/")[2]
        return EvaluationSet(name, split or "test", (f"nano-beir/{own}",), self_matches="off", titles="text")
    split = split or "test"
    identifier = "webis-touche2020/v2" if name == "webis-touche2020" else name  # the corrected set, of 49 queries
    ids = [f"beir/{identifier}/{split}", *([f"beir/{identifier}"] if split == "test" else [])]
    metrics = (*METRICS, "R_cap@100") if name == "trec-covid" else METRICS
    key = CQADUPSTACK if name.startswith(f"{CQADUPSTACK}/") else identifier
    return EvaluationSet(name, split, tuple(ids), archive=("beir", key), metrics=metrics)


def near_names(name: str, also: Iterable[str] = ()) -> list[str]:
    """The known names that ``name`` may have been meant for; ``also`` are known too."""
    known = [*also, *SUITES, *COMPOSITES, MSMARCO, *(each for suite in SUITES.values() for each in suite)]
    return difflib.get_close_matches(name, list(dict.fromkeys(known)), n=3)


def _msmarco(split: str) -> EvaluationSet:
    return EvaluationSet(
        MSMARCO,
        split,
        (f"msmarco-passage/{split}/small", f"beir/msmarco/{split}"),  # passages have the same ids in both
        irds_documents="msmarco-passage",
        documents=MSMARCO,
        archive=("msmarco-passage", "collectionandqueries"),
        metrics=("mrr_10", "ndcg_cut_10", "recall_100", "recall_1000"),
        self_matches="off",  # the numbers of its queries and passages have nothing to do with each other
        titles="text",
    )


def _trec_dl(name: str, split: str) -> EvaluationSet:
    group = "msmarco-passage" if name <= "trec-dl-2020" else "msmarco-passage-v2"
    return EvaluationSet(
        name,
        split,
        (f"{group}/{name}/judged",),
        irds_documents=group,
        documents=MSMARCO if group == "msmarco-passage" else "msmarco-v2",
        archive=(group, "collectionandqueries" if group == "msmarco-passage" else "passages"),
        metrics=("ndcg_cut_10", "recall_100", "recall_1000", "map", "mrr_10"),
        self_matches="off",
        titles="text",
        relevance_level=2,
    )


def _known(name: str) -> str:
    """``name`` in the spelling of the catalogue: ``beir/fiqa`` and ``nano-beir/fiqa`` are names too."""
    text = str(name).strip()
    if text.startswith("nano-beir"):
        return text.replace("nano-beir", NANOBEIR, 1)
    return text.removeprefix("beir/")
