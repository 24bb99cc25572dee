"""The conditions of a result: versions, machine, revision, seed and command line."""

import os
import platform
import subprocess
import sys
from datetime import datetime, timezone
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "transformers", "numpy", "numba", "pytrec-eval-terrier")


def conditions(seed: int | None = None, checkout: str | Path | None = None) -> dict[str, Any]:
    """Return the conditions of a result, as JSON values.

    ``checkout`` is a folder of the code's git repository; None stands for the package's own. There is no name or
    address of the machine in it.
    """
    return {
        "command": " ".join(["python -m " + _module(), *sys.argv[1:]]),
        "seed": seed,
        "revision": _own_revision() if checkout is None else revision(checkout),
        "versions": versions(),
        "machine": machine(),
        "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def versions() -> dict[str, str]:
    """The versions of Python, of this package and of those that figures depend on; those installed, no more."""
    found = {"python": platform.python_version()}
    for name in ("splade", *PACKAGES):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """The processor, the number of cores that this process may use, memory (GiB), system, and GPU if one is in use."""
    told: dict[str, Any] = {"processor": _processor(), "cores": _cores(), "system": platform.platform()}
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        told["memory_gb"] = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30), 1)
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        told["gpu"] = torch.cuda.get_device_name()
    return told


def revision(folder: str | Path) -> str | None:
    """The git revision of the code in ``folder``, with ``+changes`` where files differ from it; None without git."""
    try:
        if not _git(folder, "ls-files"):
            return None  # an installed package in a repository that does not hold it
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
        return _git(folder, "rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


@cache
def _own_revision() -> str | None:
    """The revision of the code that this process runs; git is asked once."""
    return revision(Path(__file__).parent)


def _git(folder: str | Path, *arguments: str) -> str:
    asked = ["git", "-C", str(folder), *arguments]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def _module() -> str:
    main = getattr(sys.modules.get("__main__"), "__spec__", None)
    name = getattr(main, "name", None) or Path(sys.argv[0]).stem
    return str(name)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
