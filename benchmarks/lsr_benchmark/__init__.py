"""Our encoder and engine as contestants of lsr-benchmark, beside its own; `README.md` has the commands and figures."""
