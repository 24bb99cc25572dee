"""Expected results: published and measured values, the commands that give them, and the page that compares them."""

from splade.expectations.page import markdown
from splade.expectations.planning import Places, Run, plan
from splade.expectations.rows import Row, choose_rows, rows_of
from splade.expectations.running import Outcome, reproduce_rows

__all__ = ["Outcome", "Places", "Row", "Run", "choose_rows", "markdown", "plan", "reproduce_rows", "rows_of"]
