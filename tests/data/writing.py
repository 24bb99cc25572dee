"""Small files for the tests of the readers."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def put(path: Path, content: str | bytes) -> Path:
    """Write ``content`` as it is, packed where the name ends in ``.gz``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = content.encode("utf-8") if isinstance(content, str) else content
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def tsv(path: Path, rows: Iterable[tuple[Any, ...]]) -> Path:
    """Rows of fields, one line each."""
    return put(path, "".join("\t".join(map(str, row)) + "\n" for row in rows))


def jsonl(path: Path, records: Iterable[Any]) -> Path:
    """Records, one JSON line each."""
    return put(path, "".join(json.dumps(record) + "\n" for record in records))
