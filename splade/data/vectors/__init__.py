"""Sparse vectors on disk: lines, matrices, shards."""
