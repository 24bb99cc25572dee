"""From what two samples measured to the page and the figures of a plan."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from splade.planning.laws import Estimate, estimate
from splade.planning.limits import Machine, advice
from splade.planning.measuring import Measured
from splade.planning.page import as_json, markdown, number, rows_of


class Question(NamedTuple):
    """Numbers of documents to foresee, and how they are encoded and indexed."""

    documents: Sequence[int]
    workers: int
    shard_hours: float  # that a shard may take a worker
    memory_mb: int  # of the build (MiB)
    threads: int  # of the build
    tolerance: float  # percent by which half the sample may foresee another value

    def foresee(self, measured: Measured, documents: int) -> Estimate:
        """The estimate for a number of documents."""
        return estimate(
            measured,
            documents,
            workers=self.workers,
            shard_hours=self.shard_hours,
            memory_mb=self.memory_mb,
            threads=self.threads,
        )


def answered(
    question: Question, half: Measured, whole: Measured, machine: Machine, engines: Sequence[str] = ()
) -> tuple[dict[str, Any], str]:
    """The figures as JSON holds them, and the page."""
    plans = [question.foresee(whole, n) for n in question.documents]
    rows = rows_of(plans, [question.foresee(half, n) for n in question.documents], engines)
    told = [advice(plan, machine, lambda n: question.foresee(whole, n)) for plan in plans]
    page = markdown(_title(question, whole), question.documents, rows, told, question.tolerance)
    figures = {
        "sample": {"documents": whole.n_docs, "terms_per_document": whole.terms, **_rates(whole)},
        "question": question._asdict() | {"documents": list(question.documents)},
        "machine": {"memory_bytes": machine.memory, "free_disk_bytes": machine.disk},
        "figures": as_json(rows, question.documents),
        "advice": {str(n): sentences for n, sentences in zip(question.documents, told, strict=True)},
    }
    return figures, page


def _rates(measured: Measured) -> dict[str, float]:
    """The rates that were measured, by name."""
    rates = {"index_postings_per_second": measured.terms / measured.build_seconds}
    if measured.encoding is not None:
        rates["encode_documents_per_second"] = measured.n_docs / measured.encoding.seconds
    return rates


def _title(question: Question, measured: Measured) -> str:
    rates = _rates(measured)
    encoded = rates.get("encode_documents_per_second")
    told = [
        f"Measured here on {measured.n_docs:,} documents of {measured.terms:.1f} terms each",
        "" if encoded is None else f"a worker encodes {number(encoded)} documents a second, and there are "
        f"{question.workers:,}",
        f"the build takes in {number(rates['index_postings_per_second'])} postings a second, in "
        f"{question.memory_mb:,} MiB on {question.threads} threads",
    ]  # fmt: skip
    return "; ".join(each for each in told if each) + "."
