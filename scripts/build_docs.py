"""Writes docs/reference/ and docs/recipes.md from the configs and the wiring; with ``--check`` it only compares."""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from splade.config import commands, conf_dir, config_names
from splade.config.checking.reads import interpolations
from splade.config.checking.settings import Setting, Settings
from splade.config.checking.wiring import components, leaves
from splade.config.composing.compose import Groups
from splade.config.composing.headers import read_header

DOCS = Path(__file__).resolve().parents[1] / "docs"
SETTINGS = """\
# Settings

<!-- Written by scripts/build_docs.py from conf/settings.yaml and the wiring; change those and run it again. -->

*For someone who looks a setting up.* [Configuration](../config.md) explains how to set one.

Null means "not set". The default counts if neither the config nor the command line sets the value. The shipped configs
set many values themselves; `splade train --cfg job` prints those of the config that it would run. A `*` stands for a
name of your own. The unit of a number stands in italics. *Required* settings have no default: a command that reads one
refuses to start without it.
"""
COMMANDS = """\
# Commands

<!-- Written by scripts/build_docs.py from conf/commands.yaml; change that and run it again. -->

*For someone who looks a command up.* [Commands by task](../commands-by-task.md) begins with the task.

`splade NAME` is `python -m splade.NAME`; `splade NAME --help` lists its options, configs and groups. The lines below
run in this order on the toy data, from the folder of this project. *Writes* names the settings of the folders that the
files go to.
"""
RECIPES = """\
# Recipes

<!-- Written by scripts/build_docs.py from the opening comments of conf/; change those and run it again. -->

*For someone who wants a published model, or a training to start from.* Each section is a shipped config: the result
that it reproduces and its launch line. Figures are those of the papers, on MS MARCO and BEIR; the toy data gives none
that compare. λ values belong to a batch size and a loss: change one of these, and watch `L0_q` and `L0_d` in the log,
or give `target_q` and `target_d` ([training.md](training.md)). The values of a config stand in its file below `conf/`;
[reference/settings.md](reference/settings.md) explains each of them.

`torchrun --nproc_per_node 4 -m splade.…` starts a process for each of four GPUs (`gpu`: for each GPU of the machine);
they train as one, and the arithmetic is that of one. On one GPU, say `python -m` instead, and bound its memory with
`config.micro_batch_size`. "batch 20 per GPU" counts per process: there, set `hf.training.per_device_train_batch_size`
to the product.
"""
TASKS = {
    "Train": ("all", "train", "hf_train", "average"),
    "BM25 inside": ("idf", "add_bm25"),
    "Index": ("index", "encode", "plan", "update", "places"),
    "Search and evaluate": (
        "retrieve", "evaluate", "evaluation.eval", "flops", "utils.index_figure", "beir_eval", "hybrid", "fuse",
        "compare", "tradeoffs",
    ),
    "Look inside": ("explain",),
    "Export": ("export", "create_anserini"),
    "Reproduce and report": ("report", "reproduce"),
    "Share": ("push", "pull"),
    "Distil": ("mine", "score", "distil"),
    "Rerank": ("hf_train_reranker", "rerank"),
}  # fmt: skip
"""The commands in the order of their page, whose launch lines run one after the other."""


def main() -> int:
    """Write the pages, or with ``--check`` say whether they are up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    pages = build()
    stale = [path for path, page in pages.items() if not _is(path, page)]
    if check:
        print(f"{', '.join(map(str, stale))}: run scripts/build_docs.py" if stale else "up to date")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(pages[path], encoding="utf-8")
    return 0


def build() -> dict[Path, str]:
    """The whole pages by their paths."""
    return {
        DOCS / "reference/settings.md": "\n".join([SETTINGS.rstrip(), *_settings(), *_groups()]) + "\n",
        DOCS / "reference/commands.md": "\n".join([COMMANDS.rstrip(), *_commands()]) + "\n",
        DOCS / "recipes.md": "\n".join([RECIPES.rstrip(), *_recipes()]) + "\n",
    }


def _is(path: Path, page: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == page


def sections(text: str) -> Iterator[tuple[str, str]]:
    """Each address of ``conf/settings.yaml`` with the heading that it stands under."""
    heading = ""
    for line in text.splitlines():
        heading = line.removeprefix("## ") if line.startswith("## ") else heading
        if match := re.match(r"([\w.*]+):", line):
            yield match[1], heading


def wired_texts(raw: Mapping[str, Any]) -> list[tuple[str, set[str]]]:
    """The texts of the wiring that refer to something, with the words of their references."""
    texts = [str(leaf) for _, leaf in leaves(dict(raw))]
    words = [{word for inner in interpolations(text) for word in re.split(r"[,:${}]+", inner)} for text in texts]
    return [(text, found) for text, found in zip(texts, words, strict=True) if found]


def wired_defaults(address: str, texts: Iterable[tuple[str, set[str]]]) -> set[str]:
    """The defaults that the wiring has for ``address``; "required" for a place that needs it."""
    defaults = set()
    for text, words in texts:
        if address in words:
            optional = re.search(rf"opt:{re.escape(address)},(.*?)}}", text)
            alternative = re.search(rf"(when|first):[^}}]*{re.escape(address)}", text)
            defaults.add(optional[1] if optional else "null" if alternative else "required")
    return defaults


def default_of(row: Setting, texts: Iterable[tuple[str, set[str]]]) -> str:
    """The default of a setting as its page shows it."""
    if row.default or "*" in row.address:
        return row.default or "not set"
    told = wired_defaults(row.address, texts) - {"null"}
    return " or ".join(each if each == "required" else f"`{each}`" for each in sorted(told)) or "not set"


def accepted(kind: str, raw: Mapping[str, Any]) -> str:
    """A kind as its page shows it, with the names of a catalog in place of the catalog's."""

    def names(match: re.Match[str]) -> str:
        return "one of " + ", ".join(f"`{name}`" for name in raw["catalog"][match[1]])

    words = re.sub(r"one of catalog\.(\w+)", names, kind)
    return re.sub(r"one of ((?!`)[\w, ]+)", lambda m: "one of " + ", ".join(f"`{w}`" for w in m[1].split(", ")), words)


OF_VALUES = r"(?:config(?!\.yaml)|init_dict|data|hf|compare|fuse|hybrid|push|pull|explain|encoding|plan|places)"
ADDRESS = re.compile(rf"(?<![`\w./])(?:{OF_VALUES}\.[\w.*]*[\w*](?:=\w+)?|splade\.\w+)")


def marked(text: str) -> str:
    """A text in which addresses of settings and names of commands stand as code."""
    return ADDRESS.sub(r"`\g<0>`", text)


def _settings() -> Iterator[str]:
    raw: Any = OmegaConf.to_container(components(), resolve=False)
    texts = wired_texts(raw)
    headings = dict(sections((conf_dir() / "settings.yaml").read_text(encoding="utf-8")))
    last = ""
    for row in Settings.shipped().rows:
        if headings[row.address] != last:
            last = headings[row.address]
            yield from [
                "",
                f"## {last}",
                "",
                "| setting | meaning | default | accepts |",
                "|---|---|---|---|",
            ]
        unit = f", *{row.unit}*" if row.unit else ""
        told = [marked(row.about), marked(default_of(row, texts)), accepted(row.kind, raw) + unit]
        yield f"| `{row.address}` | {' | '.join(map(_cell, told))} |"


def _groups() -> Iterator[str]:
    groups = Groups([conf_dir()])
    yield from ["", "## Groups", "", "A group's option replaces the values of its other options: `loss=kl`.", ""]
    yield from ["| group | options |", "|---|---|"]
    for name in groups.names():
        yield f"| `{name}` | {' '.join(f'`{option}`' for option in groups.options(name))} |"


def _commands() -> Iterator[str]:
    table = commands()
    if left := set(table) - {name for names in TASKS.values() for name in names}:
        raise SystemExit(f"scripts/build_docs.py: give {', '.join(sorted(left))} a place in TASKS")
    for task, names in TASKS.items():
        yield from ["", f"## {task}"]
        for name in names:
            yield from _command(name, table[name])


def _command(name: str, row: Mapping[str, Any]) -> Iterator[str]:
    does = f"{row['does'][0].upper()}{row['does'][1:]}"
    yield from ["", f"### {name}", "", f"{marked(does)}.", "", f"- Reads: {marked(row['reads'])}."]
    if "files" in row:
        written = ", ".join(f"`{address}`" for address in row.get("writes", ()))
        yield f"- Writes: {marked(row['files'])}" + f" ({written})" * bool(written) + "."
    for option, address in row.get("options", {}).items():
        yield f"- `--{option} VALUE` is `{address}=VALUE`."
    if row.get("several"):
        yield "- Under `torchrun`, all processes share the work."
    if parts := row.get("parts"):
        yield f"- Jobs of `--multirun` that differ in `{'`, `'.join(parts)}` alone write into one folder."
    for address, meaning in row.get("arguments", {}).items():
        yield f"- `+{address}=VALUE`: {meaning}."
    yield ""
    if "not_run" in row:
        yield f"<!-- not run: {row['not_run']} -->"
    yield from ["```bash", row["launch"], "```"]


def _recipes() -> Iterator[str]:
    for name in config_names(conf_dir()):
        header = read_header(conf_dir() / f"{name}.yaml")
        words = [line.removeprefix("# ") if line.startswith("#") else f"`{line}`" for line in header.launch]
        launch = "; ".join(words).replace(":; ", ": ")
        override, _, why = " ".join(header.override).partition("   # ")
        yield from ["", f"## {name}", "", " ".join(header.reproduces), "", f"- {' '.join(header.figure)}"]
        yield from [f"- Hardware: {' '.join(header.hardware)}", f"- Launch: {launch}"]
        yield f"- One override: `{override}`" + f" ({why})" * bool(why)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
