"""``python -m splade COMMAND …``, the same as the ``splade`` console script."""

from splade.cli import main

if __name__ == "__main__":
    main()
