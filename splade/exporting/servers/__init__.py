"""Documents as JSON with term ids as keys, for servers that take them by bulk loads: a file for each.

`vector_lines` is what they share. `bulk` is OpenSearch's and Elasticsearch's; both have the bodies of the live engines.
"""
