"""A side of a sparse retriever as one graph of tensor operations, for runtimes that have no torch."""
