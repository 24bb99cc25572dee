"""Other systems as engines: one file for each, all of them a `store.Store` under `kept.Kept`.

Read `store` first: what a system has to do. `kept` makes an engine of it: ids, terms, ties, resumption, checks.
`ledger` is what is kept beside the vectors, `retries` and `secrets` are for servers.
"""
