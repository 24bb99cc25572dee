"""Fixtures of exports."""

from tests.commands.conftest import splade

__all__ = ["splade"]
