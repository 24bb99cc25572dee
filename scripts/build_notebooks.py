"""Writes a page of docs/ and its pictures from each notebook of notebooks/, with the output that the notebook keeps.

``--execute`` runs the notebooks first, as ``make quickstart`` left the toy model (extra ``notebook``), and keeps what
they print and draw; ``--check`` only compares.
"""

import argparse
import base64
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MADE = "<!-- Written by scripts/build_notebooks.py from notebooks/{name}; change that and run it again. -->"
MARK = "<!-- not run: a cell of notebooks/{name}, which a test runs -->"
WITHIN = re.compile(r"\]\(\.\./docs/")
"""A link of a notebook to a page of docs/; from there it is one to a neighbour."""


def main() -> int:
    """Write the pages, or with ``--check`` say whether they are up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--execute", action="store_true")
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    if asked.execute:
        for notebook in notebooks():
            execute(notebook)
    files = build()
    stale = [path for path, content in files.items() if not path.is_file() or path.read_bytes() != content]
    if asked.check:
        print(f"{', '.join(map(str, stale))}: run scripts/build_notebooks.py" if stale else "up to date")
        return 1 if stale else 0
    for path in stale:
        path.write_bytes(files[path])
    return 0


def notebooks() -> list[Path]:
    """The notebooks, by name."""
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def build() -> dict[Path, bytes]:
    """Pages and pictures of all notebooks, by their paths."""
    return {path: content for notebook in notebooks() for path, content in page_of(notebook).items()}


def page_of(notebook: Path) -> dict[Path, bytes]:
    """The page of a notebook, and the pictures that it shows."""
    pictures: dict[Path, bytes] = {}
    parts = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            parts.append(WITHIN.sub("](", text))
            continue
        parts.append(f"{MARK.format(name=notebook.name)}\n```python\n{text}\n```")
        for output in cell["outputs"]:
            parts.append(_shown(output, notebook, pictures))
    page = "\n\n".join([*parts, MADE.format(name=notebook.name)]) + "\n"
    return {ROOT / "docs" / f"{notebook.stem}.md": page.encode(), **pictures}


def _shown(output: Mapping[str, Any], notebook: Path, pictures: dict[Path, bytes]) -> str:
    """One output as Markdown; a picture is added to ``pictures``. ValueError for another kind, such as an error."""
    if output["output_type"] == "stream" and output["name"] == "stdout":
        text = "".join(output["text"]).rstrip()
        return f"```text\n{text}\n```"
    if "image/png" in output.get("data", {}):
        path = ROOT / "docs/pictures" / f"{notebook.stem}-{len(pictures) + 1}.png"
        pictures[path] = base64.b64decode("".join(output["data"]["image/png"]))
        return f"![Figure {len(pictures)} of the notebook](pictures/{path.name})"
    raise ValueError(f"{notebook.name}: an output of a kind that its page cannot show: {output['output_type']}")


def execute(notebook: Path, folder: Path | None = None, **parameters: Any) -> None:
    """Run ``notebook`` as an editor does, in its folder or in ``folder``; what it prints and draws is kept in it.

    Standard error is not: what is said there is of one machine. CellExecutionError for a cell that fails.
    """
    import nbformat
    from nbclient import NotebookClient

    content = nbformat.read(notebook, as_version=4)
    resources = {"metadata": {"path": str(folder or notebook.parent)}}
    NotebookClient(content, resources=resources, kernel_name="python3", **parameters).execute()
    for cell in content.cells:
        cell.metadata.clear()  # times of execution
        cell.get("outputs", [])[:] = list(_joined(cell.get("outputs", [])))
    content.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.write(content, notebook)


def _joined(outputs: list[Any]) -> Iterator[Any]:
    """Outputs in which texts that follow each other are one; of a picture the pixels alone."""
    last = None
    for output in outputs:
        if output.get("name") == "stderr":
            continue
        if last is not None and output.output_type == "stream" and last.get("name") == output.name:
            last.text += output.text
            continue
        if "image/png" in output.get("data", {}):
            output.data = {"image/png": output.data["image/png"]}
            output.metadata = {}
        last = output
        yield output


if __name__ == "__main__":
    sys.exit(main())
