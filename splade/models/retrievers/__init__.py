"""Published kinds of retrievers: an encoder for each side, and what a query and a document are to them."""
