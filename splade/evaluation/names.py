"""The spellings of a metric: ``mrr_10`` and ``MRR@10``, ``recall`` for its usual cut-offs, ``map(rel=2)``.

A name is a family, a cut-off after ``_`` or ``@`` where the family takes one, and modifiers in parentheses before or
after it. ``(rel=n)``: documents judged below n do not count as relevant. ``(judged_only)``: documents without a
judgement leave the ranking before it is measured, as in ``nDCG(judged_only)@10``. Both: ``(rel=2,judged_only)``. Case
does not matter. Names and modifiers that are none of these are those of `splade.evaluation.other_measures`.
"""

import difflib
import re
from collections.abc import Sequence
from typing import NamedTuple

from splade.evaluation import other_measures

LARGEST_CUT = 10**9  # pytrec_eval holds cut-offs as C's long and calls larger ones otherwise
CUTS = (5, 10, 15, 20, 30, 100, 200, 500, 1000)


class Metric(NamedTuple):
    """One figure to compute: the key it is given, its measure, its cut-off, its relevance level."""

    key: str
    measure: str  # as pytrec_eval calls it, or "mrr" or "recall_cap", or of `other_measures`, with their prefix
    cut: int | None
    level: int | None  # None: the level of the whole evaluation
    judged_only: bool = False  # of the ranking without the documents that have no judgement


class Family(NamedTuple):
    """The measure a name stands for without a cut-off, with one, and the cut-offs it implies."""

    plain: str | None = None
    cut: str | None = None
    cuts: tuple[int, ...] = ()


FAMILIES = {
    "mrr": Family("recip_rank", "mrr"),
    "rr": Family("recip_rank", "mrr"),
    "recip_rank": Family("recip_rank", "mrr"),
    "ndcg": Family("ndcg", "ndcg_cut"),
    "ndcg_cut": Family(None, "ndcg_cut", CUTS),
    "map": Family("map", "map_cut"),
    "map_cut": Family(None, "map_cut", CUTS),
    "recall": Family(None, "recall", CUTS),
    "r": Family(None, "recall"),
    "p": Family(None, "P", CUTS),
    "precision": Family(None, "P", CUTS),
    "success": Family(None, "success", (1, 5, 10)),
    "r_cap": Family(None, "recall_cap"),
    "recall_cap": Family(None, "recall_cap"),
    "rprec": Family("Rprec"),
    "bpref": Family("bpref"),
}

_NAME = re.compile(r"(?P<family>[a-z_]+?)(?:[_@.](?P<cut>\d+))?")
_MODIFIERS = re.compile(r"\(([^()]*)\)")
_LEVEL = re.compile(r"rel=(\d+)")
_JUDGED_ONLY = {"judged_only": True, "judged_only=true": True, "judged_only=false": False}


def parse(name: str) -> tuple[Metric, ...]:
    """The figures ``name`` asks for: one, or one per cut-off for a bare family such as ``recall``.

    One figure keeps the name it was asked by as its key; those of a family are called ``recall_5``,
    ``recall_10`` and so on. Raises ValueError with the nearest names where there is no such metric.
    """
    text = str(name).strip()
    match = _NAME.fullmatch(_MODIFIERS.sub("", text).lower())
    family = FAMILIES.get(match["family"]) if match else None
    if match is None or family is None:
        return _others(text)
    try:
        level, judged_only = _modifiers(text)
    except ValueError:
        if other := other_measures.find(text):
            return _metrics(other)
        raise
    if match["cut"] is not None:
        cut = int(match["cut"])
        if family.cut is None:
            raise ValueError(f"the metric {text!r} takes no cut-off; write {match['family']!r}")
        if not 1 <= cut <= LARGEST_CUT:
            raise ValueError(f"the metric {text!r} has the cut-off {cut}; it must be at least 1, at most {LARGEST_CUT}")
        return (Metric(text, family.cut, cut, level, judged_only),)
    if family.plain is not None:
        return (Metric(text, family.plain, None, level, judged_only),)
    if not family.cuts:
        raise ValueError(f"the metric {text!r} needs a cut-off, as in '{text}@100'")
    kept = ([] if level is None else [f"rel={level}"]) + ["judged_only"] * judged_only
    suffix = f"({','.join(kept)})" if kept else ""
    return tuple(Metric(f"{family.cut}_{cut}{suffix}", str(family.cut), cut, level, judged_only) for cut in family.cuts)


def _modifiers(text: str) -> tuple[int | None, bool]:
    """The relevance level, and whether unjudged documents leave; ValueError for another modifier, or one twice."""
    level, judged_only = None, None
    for written in (part.strip().lower() for group in _MODIFIERS.findall(text) for part in group.split(",")):
        match = _LEVEL.fullmatch(written)
        if match and level is None:
            level = int(match[1])
        elif written in _JUDGED_ONLY and judged_only is None:
            judged_only = _JUDGED_ONLY[written]
        else:
            raise ValueError(
                f"the metric {text!r} has the modifier {written!r}; accepted, once each: rel=N (lowest relevant "
                "grade), judged_only (documents without a judgement leave the ranking)"
            )
    return level, bool(judged_only)


def parse_all(names: Sequence[str]) -> list[Metric]:
    """The figures of all ``names`` in order, each key once."""
    if isinstance(names, str):
        raise ValueError(f"metrics must be a list of names, got the string {names!r}")
    return list({metric.key: metric for name in names for metric in parse(name)}.values())


def _others(text: str) -> tuple[Metric, ...]:
    """The figures of a name that is none of ours; ValueError where ``ir_measures`` does not know it either."""
    found = other_measures.find(text)
    if not found:
        raise ValueError(_unknown(text))
    return _metrics(found)


def _metrics(found: tuple[tuple[str, str], ...]) -> tuple[Metric, ...]:
    return tuple(Metric(key, other_measures.PREFIX + name, None, None) for key, name in found)


def _unknown(text: str) -> str:
    known = [*FAMILIES, *(f"{family}_10" for family, row in FAMILIES.items() if row.cut)]
    near = difflib.get_close_matches(text.lower().replace("@", "_"), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return (
        f"unknown metric {text!r}; {hint}Families: {', '.join(FAMILIES)}; with a cut-off as in mrr_10 or MRR@10. "
        f"{other_measures.hint()}"
    )
