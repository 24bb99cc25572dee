"""Static pruning: postings that an index does without, and the account of them."""

from typing import NamedTuple

import numpy as np

from splade.kernels.compiled import read_only_rows
from splade.kernels.pruning import keep_heaviest, keep_of_terms
from splade.kernels.sparse import keep_entries
from splade.records import SparseRows


class Pruning(NamedTuple):
    """Four rules, each off by default.

    Of each document, ``top_terms`` keeps that many of the heaviest terms, and ``mass`` the fewest heaviest terms
    whose weights add up to that share of the document's; with both, the fewer. Then ``min_weight`` drops lighter
    postings, and ``term_quantile`` that share of each term's postings, the lightest. These two never take a term's
    heaviest posting.

    Lassance, Lupart, Déjean, Clinchant and Tonellotto, "A Static Pruning Study on Sparse Neural Retrievers" (2023),
    compare ``top_terms``, ``min_weight`` and ``term_quantile`` as document-centric, agnostic and term-centric.
    ``mass`` keeps the α-mass subvector of Bruch, Nardini, Rulli and Venturini, "Efficient Inverted Indexes for
    Approximate Retrieval over Learned Sparse Representations" (SIGIR 2024).
    """

    top_terms: int | None = None
    min_weight: float = 0.0
    term_quantile: float = 0.0
    mass: float = 1.0

    def checked(self) -> "Pruning":
        """Itself; ValueError where a rule makes no sense."""
        if self.top_terms is not None and self.top_terms < 1:
            raise ValueError(f"prune_top_terms must be at least 1, or None to keep all terms, got {self.top_terms}")
        if not 0 <= self.min_weight < np.inf:
            raise ValueError(f"prune_min_weight must be 0 or more, got {self.min_weight}")
        if not 0 <= self.term_quantile < 1:
            raise ValueError(f"prune_term_quantile must be in [0, 1), got {self.term_quantile}")
        if not 0 < self.mass <= 1:
            raise ValueError(f"prune_mass must be above 0 and at most 1, got {self.mass}")
        return self

    @property
    def prunes_documents(self) -> bool:
        """True where a rule is set that sees one document at a time."""
        return self.top_terms is not None or self.mass < 1

    @property
    def prunes_terms(self) -> bool:
        """True where a rule is set that needs to see all postings of a term."""
        return self.min_weight > 0 or self.term_quantile > 0

    @property
    def prunes(self) -> bool:
        """True where any rule is set, so that postings may be left out."""
        return self.prunes_documents or self.prunes_terms


class Pruned(NamedTuple):
    """Counts of postings before pruning, of those each rule left out, and of terms that no document has any more."""

    postings_before: int = 0
    by_document: int = 0
    by_weight: int = 0
    by_term: int = 0
    terms_lost: int = 0
    by_mass: int = 0

    def __add__(self, other: "Pruned") -> "Pruned":  # type: ignore[override]
        return Pruned(*(one + two for one, two in zip(self, other, strict=True)))

    @property
    def share(self) -> float:
        """Share of the postings that were left out."""
        return (self.by_document + self.by_mass + self.by_weight + self.by_term) / max(self.postings_before, 1)

    def __str__(self) -> str:
        return (
            f"{self.share:.1%} of {self.postings_before} postings pruned ({self.by_document} by document, "
            f"{self.by_mass} by mass, {self.by_weight} by weight, {self.by_term} by term), "
            f"{self.terms_lost} terms lost"
        )


def prune_vectors(rows: SparseRows, top_terms: int | None = None, mass: float = 1.0) -> tuple[SparseRows, Pruned]:
    """Rows of their heaviest entries; of equal weights, the smaller terms.

    ``top_terms`` bounds the entries of a row. ``mass`` is the share of its weight that they reach; one entry stays.
    """
    most = int(np.diff(rows.offsets).max(initial=0)) if top_terms is None else top_terms
    if mass == 1 and int(np.diff(rows.offsets).max(initial=0)) <= most:
        return rows, Pruned()
    keep = np.zeros(len(rows.columns), np.bool_)
    by_number, by_share = keep_heaviest(read_only_rows(rows), most, float(mass), keep)
    pruned = Pruned(by_document=int(by_number), by_mass=int(by_share))
    return (read_only_rows(keep_entries(rows, keep)), pruned) if any(pruned) else (rows, pruned)


def prune_documents(rows: SparseRows, rules: Pruning) -> tuple[SparseRows, Pruned]:
    """Documents without the postings that the two rules leave out that see one document at a time."""
    return prune_vectors(rows, rules.top_terms, rules.mass)


def prune_postings(postings: SparseRows, rules: Pruning) -> tuple[SparseRows, Pruned]:
    """Postings, a row per term, without those that ``min_weight`` and ``term_quantile`` leave out."""
    if not rules.prunes_terms:
        return postings, Pruned()
    keep = np.zeros(len(postings.columns), np.bool_)
    least = np.float32(rules.min_weight)
    by_weight, by_term = keep_of_terms(read_only_rows(postings), least, rules.term_quantile, keep)
    return read_only_rows(keep_entries(postings, keep)), Pruned(by_weight=int(by_weight), by_term=int(by_term))
