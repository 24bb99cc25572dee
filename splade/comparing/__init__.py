"""Comparing systems: tests of significance, the queries and terms that differ, effectiveness against cost."""

from splade.comparing.pareto import pareto_front
from splade.comparing.queries import hardest, most_moved, risen_document
from splade.comparing.significance import confidence_interval, effect_size, holm, randomisation_test, t_test
from splade.comparing.terms import term_products, term_weights, terms_of_difference

__all__ = [
    "confidence_interval",
    "effect_size",
    "hardest",
    "holm",
    "most_moved",
    "pareto_front",
    "randomisation_test",
    "risen_document",
    "t_test",
    "term_products",
    "term_weights",
    "terms_of_difference",
]
