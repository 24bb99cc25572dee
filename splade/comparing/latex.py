"""A comparison as a LaTeX table."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from string import ascii_lowercase

from splade.comparing.comparison import Comparison
from splade.comparing.formats import COSTS, cost_text, is_best, known_costs

TEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
} | {each: f"\\{each}" for each in "$&#%_"}


def as_latex(comparison: Comparison) -> str:
    """A table for a paper (needs the package booktabs): means, the best in bold, and letters.

    The letters above a value name the systems that are significantly worse, by the randomisation test after Holm's
    correction.
    """
    letters = _letters(comparison.names)
    costs = known_costs(comparison)
    columns = [*map(_tex, comparison.metrics), *(_tex(COSTS[cost]) for cost in costs)]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_caption(comparison)}}}",
        rf"\begin{{tabular}}{{ll{'r' * len(columns)}}}",
        r"\toprule",
        " & ".join(["", "system", *columns]) + r" \\",
    ]
    for name, systems in comparison.sets.items():
        lines += [r"\midrule"]
        if len(comparison.sets) > 1:
            lines += [rf"\multicolumn{{{len(columns) + 2}}}{{l}}{{\textit{{{_tex(name)}}}}} \\"]
        for system in systems:
            cells = [_tex_cell(comparison, name, metric, system.name, letters) for metric in comparison.metrics]
            cells += [cost_text(cost, system.costs.get(cost), "--") for cost in costs]
            lines += [" & ".join([f"${letters[system.name]}$", _tex(system.name), *cells]) + r" \\"]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _tex_cell(comparison: Comparison, name: str, metric: str, system: str, letters: Mapping[str, str]) -> str:
    means = comparison.means[name][metric]
    value = f"{means[system].value:.4f}"
    value = rf"\textbf{{{value}}}" if is_best(means, system) else value
    beaten = [letters[other] for other in _beaten(comparison, name, metric, system)]
    return value + (f"$^{{{' '.join(beaten)}}}$" if beaten else "")


def _beaten(comparison: Comparison, name: str, metric: str, system: str) -> Iterator[str]:
    """The systems that ``system`` is significantly better than."""
    for pair in comparison.pairs:
        if (pair.dataset, pair.metric) != (name, metric) or pair.p_randomisation_holm >= 1 - comparison.settings.level:
            continue
        if pair.first == system and pair.difference > 0:
            yield pair.second
        if pair.second == system and pair.difference < 0:
            yield pair.first


def _caption(comparison: Comparison) -> str:
    alpha = f"{1 - comparison.settings.level:.3g}"
    return (
        "Means over queries, the best in bold. A letter marks a significant difference to the system of that letter "
        f"(paired randomisation test, $p < {alpha}$ after Holm's correction over {_tex(comparison.family)})."
    ).replace("×", r"$\times$")


def _letters(names: Sequence[str]) -> dict[str, str]:
    marks: Iterable[str] = ascii_lowercase if len(names) <= len(ascii_lowercase) else map(str, range(1, len(names) + 1))
    return dict(zip(names, marks, strict=False))


def _tex(text: str) -> str:
    """A text in which LaTeX finds no commands."""
    return "".join(TEX.get(each, each) for each in text)
