"""Parts of ``scripts/gpu_check.py``: each yields rows of what it found on one GPU, small on a CPU."""
