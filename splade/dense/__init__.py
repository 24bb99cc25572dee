"""Dense vectors: an index of whole matrices, and exact search over them."""
