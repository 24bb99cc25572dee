"""OpenSearch and Elasticsearch: the parts that they share, from a document's line to the store.

Read in this order: `feature_field` (the weights that Lucene keeps), `forms` (mappings and queries by kind of field),
`bodies` (what is sent), `connection` (HTTP), `searching`, `server` (the `Store`), `engine` (its settings).
"""
