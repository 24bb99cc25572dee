"""The files of a comparison."""

from collections.abc import Sequence
from pathlib import Path

from splade.comparing.comparison import Comparison
from splade.comparing.json_values import as_json
from splade.comparing.latex import as_latex
from splade.comparing.markdown import as_markdown
from splade.comparing.moves import PairMoves
from splade.comparing.plots import comparison_figure, queries_figure
from splade.files import whole_file, write_json


def write_comparison(folder: str | Path, comparison: Comparison, moved: Sequence[PairMoves] = ()) -> list[Path]:
    """Write ``compare.json``, ``.md``, ``.tex``, ``.png`` and ``compare-queries.png`` into ``folder``; their paths.

    Of several query sets ``compare.png`` is the average, and each set has figures of its own, as ``compare-DEV.png``
    and ``compare-queries-DEV.png``. Each file is whole or absent.
    """
    folder = Path(folder)
    write_json(folder / "compare.json", as_json(comparison, moved))
    texts = {"compare.md": as_markdown(comparison, moved), "compare.tex": as_latex(comparison)}
    for name, text in texts.items():
        with whole_file(folder / name) as stream:
            stream.write(text)
    return [folder / "compare.json", *(folder / name for name in texts), *_figures(folder, comparison)]


def _figures(folder: Path, comparison: Comparison) -> list[Path]:
    names = list(comparison.sets)
    if len(names) == 1:
        paths = [folder / "compare.png", folder / "compare-queries.png"]
        comparison_figure(comparison, paths[0], names[0])
        queries_figure(comparison, paths[1], names[0])
        return paths
    paths = [folder / "compare.png"]
    comparison_figure(comparison, paths[0])
    for name in names:
        plain = name.replace("/", "-")
        paths += [folder / f"compare-{plain}.png", folder / f"compare-queries-{plain}.png"]
        comparison_figure(comparison, paths[-2], name)
        queries_figure(comparison, paths[-1], name)
    return paths
