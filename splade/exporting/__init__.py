"""Sparse vectors in the forms other engines read, one file per target."""
