"""Settings of both forms of Qdrant."""

from pathlib import Path
from typing import Any, NamedTuple

from splade.engines.places.secrets import refuse_secret_in

KEY = "QDRANT_API_KEY"
VECTOR = "splade"  # the name of the sparse vector of a point
DATATYPES = {
    "float32": "none: float32 weights and scores",
    "float16": "weights rounded to float16",
    "uint8": "weights in 8 bits",
}


class Settings(NamedTuple):
    """Settings of a store."""

    url: str | None
    api_key_file: str | Path | None
    on_disk: bool
    datatype: str
    full_scan_threshold: int
    batch: int
    timeout: float

    def identity(self) -> dict[str, Any]:
        """Return the settings that decide how vectors are stored."""
        return {
            "on_disk": self.on_disk,
            "datatype": self.datatype,
            "full_scan_threshold": self.full_scan_threshold,
        }


def settings_of(
    url: str | None,
    api_key_file: str | Path | None,
    on_disk: bool,
    datatype: str,
    full_scan_threshold: int,
    batch: int,
    timeout: float,
) -> Settings:
    """Settings that were checked: ValueError and InputError for values out of range."""
    if url is not None:
        refuse_secret_in(url, "engine.url", KEY)
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"engine.url={url}: a server's address starts with http:// or https://")
    if datatype not in DATATYPES:
        raise ValueError(f"engine.datatype={datatype!r}: Qdrant has {', '.join(DATATYPES)}")
    if full_scan_threshold < 0:
        raise ValueError(f"engine.full_scan_threshold={full_scan_threshold}: a number of vectors, 0 or more")
    if batch < 1 or timeout <= 0:
        raise ValueError(f"engine.batch={batch} must be at least 1, and engine.timeout={timeout} above 0 seconds")
    return Settings(url, api_key_file, bool(on_disk), datatype, full_scan_threshold, batch, float(timeout))


def quantization(datatype: str) -> str:
    """Tell in words what a data type does to weights."""
    return DATATYPES[datatype]
