"""Compiled loops over flat arrays: no files, no torch, no classes but named tuples.

Kernels trust their caller: each states its assumptions, and the packages above check them at the door.
All release the GIL, so that plain Python threads run them side by side; none starts threads itself.
Compiled code is kept in numba's cache, which notices a changed file but not a changed function that
is imported from another one: after editing ``topk.py``, remove the ``*.nbi`` files in
``__pycache__``.
"""
