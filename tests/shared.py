"""Real collections that may stand beside the checkout; tests that want them skip where they are not."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def shared_data(name: str) -> Path:
    """The path of ``name`` below the shared data folder; skips the test where it is absent."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs the shared data folder beside the checkout: {name} is not there")
    return path
