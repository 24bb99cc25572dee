"""The published kinds of retrievers: an encoder for documents, and one for queries or the same."""
