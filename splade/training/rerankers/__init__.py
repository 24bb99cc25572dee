"""The training of rerankers."""
