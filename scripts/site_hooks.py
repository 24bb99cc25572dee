"""Pages of the site that are no files of ``docs/``, and links that leave it; mkdocs calls the ``on_…`` functions.

The home page is the README, CONTRIBUTING stands beside it, and each room has a page that its docstrings fill. A link to
a file outside of ``docs/`` becomes its text, since the site does not hold that file. A link that shows the name of a
page shows its title instead.
"""

import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BESIDE = {"README.md": "index.md", "CONTRIBUTING.md": "CONTRIBUTING.md"}
"""Pages at the top of the repository, and where the site has them."""
API = {
    "splade": ("splade", "splade.records"),
    "data": ("splade.data",),
    "models": ("splade.models",),
    "losses": ("splade.losses",),
    "regularization": ("splade.regularization",),
    "training": ("splade.training",),
    "encoding": ("splade.encoding",),
    "indexing": ("splade.indexing",),
    "search": ("splade.search",),
    "engines": ("splade.engines", "splade.engines.conformance"),
    "serving": ("splade.serving", "splade.serving.batching", "splade.serving.system", "splade.encoding.protocol"),
    "exporting": (
        "splade.exporting.target",
        "splade.exporting.models",
        "splade.exporting.writing",
        "splade.exporting.checking",
    ),
    "onnx": ("splade.onnx.folder", "splade.onnx.encoder", "splade.onnx.target"),
    "evaluation": ("splade.evaluation",),
    "results": ("splade.results", "splade.results.cost", "splade.results.conditions"),
    "comparing": ("splade.comparing", "splade.evaluation.fusion"),
    "suites": ("splade.suites",),
    "grids": ("splade.grids",),
    "planning": ("splade.planning",),
    "reports": ("splade.reports", "splade.expectations"),
    "explaining": ("splade.explaining", "splade.explaining.forms"),
    "hub": ("splade.hub",),
    "adapters": (
        "splade.adapters",
        "splade.adapters.mteb",
        "splade.adapters.mteb_tasks",
        "splade.adapters.lsr_benchmark",
    ),
    "mining": ("splade.mining",),
}
"""The pages of the API reference, and the modules whose public names each of them shows."""
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>[^)\s]+)\)")
PICTURE = re.compile(r"!\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
ROLE, COLONS = re.compile(r":(?:class|func|meth|mod|attr|data):(?=<)"), re.compile(r"::</p>")
OUTSIDE = re.compile(r"[a-z]+:|#|/")
"""Targets that name no file of the repository."""


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made here to the files of the site."""
    from mkdocs.structure.files import File

    for place, text in pages().items():
        old = files.get_file_from_path(place)
        if old is not None:
            files.remove(old)
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The text of a page, whose links lead to pages of the site."""
    return within_site(markdown, "docs/" + page.file.src_uri)


def on_page_content(html: str, **_: Any) -> str:
    """The text of a page without the marks of reStructuredText that docstrings have: roles, and colons before code."""
    return COLONS.sub(":</p>", ROLE.sub("", html))


def pages() -> Mapping[str, str]:
    """The added pages by their place in the site."""
    beside = {place: as_in_docs((ROOT / name).read_text(encoding="utf-8")) for name, place in BESIDE.items()}
    return beside | {f"reference/api/{name}.md": api_page(name) for name in API}


def as_in_docs(text: str) -> str:
    """A page of the repository's top as it would be written in ``docs/``."""

    def moved(match: re.Match[str]) -> str:
        target = match["target"]
        if OUTSIDE.match(target):
            return match[0]
        target = target.removeprefix("docs/") if target.startswith("docs/") else BESIDE.get(target, f"../{target}")
        return match[0].replace(f"({match['target']})", f"({target})")

    return PICTURE.sub(moved, LINK.sub(moved, text))


def within_site(text: str, source: str) -> str:
    """The text of the page ``source``; a link that leaves ``docs/`` is its text, but for pages that the site has."""

    def kept(match: re.Match[str]) -> str:
        if OUTSIDE.match(match["target"]):
            return match[0]
        target, mark, anchor = match["target"].partition("#")
        place = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if place in BESIDE:
            home = posixpath.relpath(f"docs/{BESIDE[place]}", posixpath.dirname(source))
            return f"[{match['text']}]({home}{mark}{anchor})"
        if not place.startswith("docs/"):
            return match["text"]
        text = title_of(ROOT / place) if match["text"].removeprefix("docs/") == match["target"] else match["text"]
        return f"[{text}]({match['target']})"

    return LINK.sub(kept, text)


def title_of(page: Path) -> str:
    """The heading of a page, to read in place of its file name; the file name of a page without one."""
    heading = re.search(r"^# (.+)$", page.read_text(encoding="utf-8"), re.M) if page.is_file() else None
    return heading[1] if heading else page.name


def api_page(name: str) -> str:
    """The Markdown of one page of the API reference; mkdocstrings reads the docstrings."""
    title = "splade" if name == "splade" else f"splade.{name}"
    return "\n".join([f"# {title}", "", *(f"::: {module}\n" for module in API[name])])
