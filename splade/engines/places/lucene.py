"""Lucene in Java, by Anserini's jar."""

import os
from importlib.util import find_spec
from pathlib import Path


def jar() -> str:
    """Anserini's jar: the one that ANSERINI_JAR names, or else the one that pyserini brings."""
    if "ANSERINI_JAR" in os.environ:
        return os.environ["ANSERINI_JAR"]
    found = find_spec("pyserini")
    if found is None or not found.submodule_search_locations:
        raise ImportError("neither ANSERINI_JAR is set nor pyserini installed")
    return str(next((Path(found.submodule_search_locations[0]) / "resources" / "jars").glob("anserini-*-fatjar.jar")))
