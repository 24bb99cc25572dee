"""The measures of ``ir_measures``, for names that are none of ours: ``ERR@20``, ``nDCG(dcg='exp-log2')@10``, ``infAP``.

The names are read as ``ir_measures`` writes them, or as trec_eval does (``iprec_at_recall_0.10``). Each is computed by
the first of its providers that can: pytrec_eval, gdeval, judged, msmarco and others. Our conventions hold for them too:
providers are given ranks in place of scores, so that ties stay as they were written; a judged query without results
counts 0; figures are averaged over queries, those that ``ir_measures`` would sum (``NumRet``) as well.

This package is an extra, ``pip install 'splade[measures]'``, and is loaded when a name needs it.
"""

import ast
import importlib.util
from collections.abc import Mapping
from typing import Any, NamedTuple

from splade.files import InputError
from splade.records import Qrels

PREFIX = "ir_measures:"  # of the measure of a `Metric` that is computed here
INSTALL = "pip install 'splade[measures]'"
GRADES = {"pytrec_eval": (-1, 100), "gdeval": (-1, 4), "ranx": (0, 60)}
"""The lowest and the highest grade that a provider is given: trec_eval's memory, and 2 ** grade, grow with them."""


class Asked(NamedTuple):
    """One measure as it was asked for."""

    measure: Any  # an ir_measures.Measure
    has_level: bool  # the name itself says from which grade on a document is relevant


def find(text: str) -> tuple[tuple[str, str], ...]:
    """The keys and names of the measures that ``ir_measures`` reads in ``text``; none where it knows no such measure.

    ValueError where it knows the measure, and cannot compute it: parameters that it does not take, a provider that is
    not installed, judgements of subtopics.
    """
    if not is_installed():
        return ()
    asked = _asked(text)
    if asked is not None:
        _provider(text, asked.measure)
        return ((text, text),)
    found = _of_trec_eval(text)
    for measure in found:
        _provider(text, measure)
    return tuple((text if len(found) == 1 else str(measure), str(measure)) for measure in found)


def is_installed() -> bool:
    """True where ``ir_measures`` can be imported; it is not loaded to find out."""
    return importlib.util.find_spec("ir_measures") is not None


def hint() -> str:
    """The sentence about ``ir_measures`` for an unknown name."""
    if is_installed():
        return "ir_measures has no measure of that name either"
    return f"ir_measures reads further names, such as ERR@20, and is not installed: {INSTALL}"


def figures(name: str, ranks: Mapping[str, Mapping[str, float]], qrels: Qrels, level: int) -> dict[str, float]:
    """The measure called ``name`` of each query in ``ranks`` for which it is defined.

    ``ranks`` has, by query and document, strictly decreasing numbers. ``level`` is the relevance level of measures
    whose name has none. InputError where the provider cannot take these grades, or fails.
    """
    asked = _asked(name)
    measure = asked.measure if asked else _of_trec_eval(name)[0]
    judged = {query_id: grades for query_id, grades in qrels.items() if grades and query_id in ranks}
    if _is_binary(measure):
        at = measure["rel"] if asked and asked.has_level else max(level, measure["rel"])
        judged = {query_id: _relevant_or_not(grades, at) for query_id, grades in judged.items()}
        measure = measure(rel=1)
    provider = _provider(name, measure)
    if "gains" in measure.params:
        judged = {query_id: _with_gains(grades, measure["gains"]) for query_id, grades in judged.items()}
        measure = measure(gains={})
    if provider.NAME in GRADES:
        judged = _within(name, judged, provider.NAME)
    if not judged:
        return {}
    run = {query_id: dict(ranks[query_id]) for query_id in judged}
    return _computed(name, provider, measure, judged, run)


def _computed(name: str, provider: Any, measure: Any, judged: Qrels, run: dict[str, dict[str, float]]) -> Any:
    """Figures by query. Queries and documents go by numbers, as gdeval takes no other topics."""
    queries = {query_id: str(number) for number, query_id in enumerate(judged)}
    rows: list[Mapping[str, Any]] = [*judged.values(), *run.values()]
    docs = {doc_id: str(number) for number, doc_id in enumerate(dict.fromkeys(doc for row in rows for doc in row))}

    def numbered(table: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        return {queries[query]: {docs[doc]: value for doc, value in row.items()} for query, row in table.items()}

    try:
        found = {
            row.query_id: float(row.value) for row in provider.iter_calc([measure], numbered(judged), numbered(run))
        }
    except Exception as error:  # whatever a provider raises: a program that fails, a division by zero
        raise InputError(
            f"the metric {name!r} cannot be computed: {provider.NAME} of ir_measures failed: {error!r}"
        ) from error
    return {query_id: found[number] for query_id, number in queries.items() if number in found}


def _asked(text: str) -> Asked | None:
    """The measure in ``text``; None where it is none by its form or name. ValueError for wrong parameters."""
    from ir_measures import measures

    parts = _parts(text)
    if parts is None:
        return None
    name, given, cut = parts
    known = {each.casefold(): each for each in measures.registry}
    name = name if name in measures.registry else known.get(name.casefold(), "")
    if not name:
        return None
    measure = measures.registry[name]
    if cut is not None:
        given = {**given, measure.AT_PARAM: cut}
    takes = measure.SUPPORTED_PARAMS
    for key, value in given.items():
        if key not in takes or not takes[key].validate(value):
            kind = f", {takes[key].dtype.__name__}," if key in takes and takes[key].dtype else ""
            raise ValueError(
                f"the metric {text!r} has {key}={value!r}{kind} which {name} does not take; its parameters are "
                f"{', '.join(takes) or 'none'}"
            )
    missing = [key for key, info in takes.items() if info.required and key not in {**measure.params, **given}]
    if missing:
        raise ValueError(f"the metric {text!r} needs {' and '.join(missing)}, as in {name}({missing[0]}=…)")
    if any(isinstance(value, int) and value < 1 for key, value in given.items() if key in ("cutoff", "rel")):
        raise ValueError(f"the metric {text!r} has a cut-off or relevance level below 1")
    return Asked(measure(**given), "rel" in given)


def _parts(text: str) -> tuple[str, dict[str, Any], Any] | None:
    """Name, parameters and what stands after ``@``, which is None where nothing does; None for another form.

    Read here rather than by ``ir_measures.parse_measure``, which needs parts of ``ast`` that Python 3.14 has no more.
    """
    try:
        node: Any = ast.parse(text.strip(), mode="eval").body
        cut = None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            node, cut = node.left, ast.literal_eval(node.right)
        given: dict[str, Any] = {}
        if isinstance(node, ast.Call) and not node.args:
            given = {str(each.arg): ast.literal_eval(each.value) for each in node.keywords}
            node = node.func
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return None
    return (node.id, given, cut) if isinstance(node, ast.Name) else None


def _of_trec_eval(text: str) -> list[Any]:
    """The measures that trec_eval calls ``text``; empty where it knows none, or they are none of ``ir_measures``."""
    from ir_measures import parse_trec_measure
    from pytrec_eval import supported_nicknames

    if text in supported_nicknames:
        return []
    try:
        return list(parse_trec_measure(text))
    except (ValueError, KeyError):
        return []


def _is_binary(measure: Any) -> bool:
    """True for a measure that asks of a document only whether it is relevant."""
    return "rel" in measure.params or isinstance(getattr(measure.SUPPORTED_PARAMS.get("rel"), "default", None), int)


def _provider(text: str, measure: Any) -> Any:
    """The first provider that computes ``measure``; ValueError where none does."""
    from ir_measures import DefaultPipeline

    if type(measure).__module__.endswith(".diversity"):
        raise ValueError(f"the metric {text!r} needs judgements of subtopics, which qrels do not hold here")
    if _is_binary(measure):
        measure = measure(rel=1)
    able = [each for each in DefaultPipeline.providers if each.supports(measure)]
    for provider in able:
        if provider.is_available():
            return provider
    if not able:
        raise ValueError(f"the metric {text!r} is computed by no provider of ir_measures with these parameters")
    ways = " or ".join(str(each.install_instructions()) for each in able)
    raise ValueError(f"the metric {text!r} needs {' or '.join(each.NAME for each in able)}: {ways}")


def _relevant_or_not(grades: Mapping[str, int], level: int) -> dict[str, int]:
    """1 from ``level`` on, 0 below it, −1 (judged, but not pooled: infAP asks) below 0."""
    return {doc_id: 1 if grade >= level else 0 if grade >= 0 else -1 for doc_id, grade in grades.items()}


def _with_gains(grades: Mapping[str, int], gains: Mapping[int, int]) -> dict[str, int]:
    return {doc_id: gains.get(grade, grade) for doc_id, grade in grades.items()}


def _within(name: str, judged: Qrels, provider: str) -> Qrels:
    """The queries with something relevant, grades not below the provider's lowest; InputError above its highest.

    trec_eval writes outside of its arrays for other queries; they count 0.
    """
    lowest, highest = GRADES[provider]
    for query_id, grades in judged.items():
        for doc_id, grade in grades.items():
            if grade > highest:
                raise InputError(
                    f"the metric {name!r} is computed by {provider}, which takes grades up to {highest}: document "
                    f"{doc_id!r} of query {query_id!r} has {grade}"
                )
    return {
        query_id: {doc_id: max(int(grade), lowest) for doc_id, grade in grades.items()}
        for query_id, grades in judged.items()
        if max(grades.values()) >= 1
    }
