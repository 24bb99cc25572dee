"""Models and engines of this project in the harnesses of others; each file needs the package that it is named after.

`mteb` evaluates a model on MTEB's tasks, `lsr_benchmark` exchanges vectors and rankings with lsr-benchmark. Nothing
is imported here, so that neither package is needed for the other.
"""
