"""Vectors and rankings over HTTP: batches across requests, limits, and the forms that clients already speak.

Read `batching` first (texts of many requests become one batch), then `system` (a model with an index, which is taken
over when it is replaced on disk), `routes` (each a form of requests and answers), `app` (limits, keys, measures around
them) and `running` (the process). The room knows no config: `splade.workflow.serving` builds the parts.
"""
