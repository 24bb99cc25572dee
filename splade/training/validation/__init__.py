"""Figures on held-out data."""
