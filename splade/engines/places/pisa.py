"""PISA in C++, by the compiled module of pyterrier-pisa."""

import ctypes
import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any


def native() -> Any:
    """The compiled module alone: the package around it wants all of PyTerrier."""
    if "_pisathon" in sys.modules:
        return sys.modules["_pisathon"]
    found = find_spec("pyterrier_pisa")
    if found is None or not found.submodule_search_locations:
        raise ImportError("pyterrier-pisa is not installed")
    threading_library = Path(sys.prefix) / "lib" / "libtbb.so.2"  # where the package tbb puts it
    if threading_library.exists():
        ctypes.CDLL(str(threading_library))
    path = next(Path(found.submodule_search_locations[0]).glob("_pisathon*.so"))
    loader = ExtensionFileLoader("_pisathon", str(path))
    spec = spec_from_loader("_pisathon", loader)
    assert spec
    module = module_from_spec(spec)
    loader.exec_module(module)
    sys.modules["_pisathon"] = module
    return module
