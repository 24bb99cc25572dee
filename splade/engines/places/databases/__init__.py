"""Vector databases, embedded in the index folder or on a server: Milvus and Qdrant."""
