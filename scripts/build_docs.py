"""Writes docs/config.md and docs/recipes.md from the configs and the wiring; with ``--check`` it only compares."""

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from splade.config import commands, conf_dir, config_names
from splade.config.checking.reads import interpolations
from splade.config.checking.settings import Settings
from splade.config.checking.wiring import components, leaves
from splade.config.composing.compose import Groups
from splade.config.composing.headers import read_header

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
INTRODUCTION = """\
# Configuration

<!-- Written by scripts/build_docs.py from conf/ and splade/config; change those and run it again. -->

A config is a tree of **values** (YAML below `conf/`). The **wiring** (`conf/wiring/`) says which value becomes which
argument of which constructor, and the **catalog** (`conf/catalog.yaml`) which class stands behind a published name.
Nothing in the package reads a value in any other way, so a value that nothing reads is an error.

## Choosing a config

- `SPLADE_CONFIG_NAME=config_splade++_max` or `--config-name config_splade++_max`: one of those below, `.yaml` optional.
- `SPLADE_CONFIG_FULLPATH=/path/to/checkpoint/config.yaml`: a saved one. Values and groups can be overridden on top. If
  its folder was moved, `config.checkpoint_dir` follows it.
- `--config-dir DIR`: a folder of your own configs, looked in first; their `defaults:` may use the shipped groups.
- None of these: `config_default`.

Relative paths start at the directory of launch. Nothing is written there but what the config names.

## Overriding

```bash
python -m splade.train config.lr=1e-5                     # a value
python -m splade.train train/data=toy_with_teacher loss=kl # options of groups
python -m splade.train '~config.early_stopping'           # remove a value
python -m splade.train -m config.seed=1,2 'config.checkpoint_dir=experiments/seed-${config.seed}' # once for each
python -m splade.train --cfg job                          # show the values, do nothing
```

`key=value` and `+key=value` do the same. An option of a group replaces what options of that group set.
Your own class: `loss._target_=my.package.Loss`, `model._target_=my.package.Model` (it is given those of the arguments
that it takes), or `+catalog.loss.Mine=my.package.Loss config.loss=Mine`; an argument more: `+loss.temperature=2`.

Before anything is built, a config is refused in words, with exit code 2, where a key is unknown or misspelt, a value
has a wrong type or name, a value is read by nothing, settings do not go together, or what the command needs is missing.
Text that spells a number or a truth value counts as that: `"false"` is false. Null means "not set".
"""
RECIPES = """\
# Recipes

<!-- Written by scripts/build_docs.py from the opening comments of conf/; change those and run it again. -->

Every config that is shipped, with what it reproduces and how it is started. Figures are those of the papers, on
MS MARCO and BEIR; the toy data gives none that compare. λ values belong to a batch size and a loss: change one of
these, and watch `L0_q` and `L0_d` in the log, or give `target_q` and `target_d` ([training.md](training.md)). What a
config sets stands in its file below `conf/`; what can be set, in [config.md](config.md).

`torchrun --nproc_per_node 4 -m splade.…` starts a process for each of four GPUs (`gpu`: for each that is there); they
train as one, and the arithmetic is that of one. On one GPU, say `python -m` instead, and bound its memory with
`config.micro_batch_size`. "batch 20 per GPU" counts per process: there, set `hf.training.per_device_train_batch_size`
to the product.
"""


def main() -> int:
    """Write the pages, or with ``--check`` say whether they are up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = [path for path, page in build().items() if not _is(path, page)]
    if check:
        print(f"{', '.join(map(str, stale))}: run scripts/build_docs.py" if stale else "up to date")
        return 1 if stale else 0
    DOCS.mkdir(exist_ok=True)
    for path in stale:
        path.write_text(build()[path], encoding="utf-8")
    return 0


def build() -> dict[Path, str]:
    """The whole pages by their paths."""
    parts = [INTRODUCTION, "## Configs\n", _configs(), "\n## Groups\n", _groups(), "\n## Settings\n", _settings()]
    page = "\n".join([*parts, "\n## Wired nodes\n", _nodes(), "\n## Commands\n", _commands(), ""])
    return {DOCS / "config.md": page, DOCS / "recipes.md": f"{RECIPES}\n{_recipes()}\n"}


def _is(path: Path, page: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == page


def wiring_of(address: str, raw: dict[str, Any]) -> tuple[list[str], str]:
    """Where the wiring refers to ``address``, and the default it has for it ("needed" where it has none)."""
    readers, defaults = [], set()
    for place, leaf in leaves(raw):
        text = str(leaf)
        if any(address in re.split(r"[,:${}]+", inner) for inner in interpolations(text)):
            readers.append(place.removeprefix("catalog."))
            optional = re.search(rf"opt:{re.escape(address)},([^,}}]*)", text)
            alternative = re.search(rf"(when|first):[^}}]*{re.escape(address)}", text)
            defaults.add(optional[1] if optional else "" if alternative else "needed")
    told = defaults - {"", "null"}
    return readers, " or ".join(sorted(told if not any("$" in default for default in told) else {"see wiring"}))


def _settings() -> str:
    raw: Any = OmegaConf.to_container(components(), resolve=False)
    lines = ["| address | accepts | default | what it is | read by |", "|---|---|---|---|---|"]
    for row in Settings.shipped().rows:
        address = row.address.split(".*")[0]
        readers, default = wiring_of(address, raw)
        shown = [f"`{reader}`" for reader in readers[:2]] + ["…"] * (len(readers) > 2)
        lines.append(f"| `{row.address}` | {row.kind} | {_cell(default)} | {_cell(row.about)} | {' '.join(shown)} |")
    return "\n".join(lines)


def _groups() -> str:
    groups = Groups([conf_dir()])
    lines = ["| group | options |", "|---|---|"]
    lines += [f"| `{name}` | {' '.join(f'`{option}`' for option in groups.options(name))} |" for name in groups.names()]
    return "\n".join(lines)


def _configs() -> str:
    lines = ["| config | what it reproduces |", "|---|---|"]
    for name in config_names(conf_dir()):
        header = read_header(conf_dir() / f"{name}.yaml")
        lines.append(f"| `{name}` | {_cell(' '.join([*header.reproduces, *header.figure]))} |")
    return "\n".join(lines)


def _recipes() -> str:
    lines = ["| config | reproduces | published | hardware | launch | one override |", "|---|---|---|---|---|---|"]
    for name in config_names(conf_dir()):
        header = read_header(conf_dir() / f"{name}.yaml")
        said = [
            " ".join(header.reproduces),
            " ".join(header.figure).removeprefix("Published: "),
            " ".join(header.hardware),
        ]
        launch = "<br>".join(f"`{line}`" for line in header.launch)
        override, _, why = " ".join(header.override).partition("   # ")
        said += [launch, f"`{override}`" + f": {why}" * bool(why)]
        lines.append(f"| `{name}` | {' | '.join(map(_cell, said))} |")
    return "\n".join(lines)


def _nodes() -> str:
    raw: Any = OmegaConf.to_container(components(), resolve=False)
    hidden = ("catalog", "kinds", "patches", "named")
    shown = {name: node for name, node in raw.items() if name not in hidden}
    return "```yaml\n" + OmegaConf.to_yaml(OmegaConf.create(shown)) + "```"


def _commands() -> str:
    lines = ["| command | does | needs |", "|---|---|---|"]
    for name, row in commands().items():
        needs = _nodes_in(row.get("needs", []))
        for address, nodes in row.get("instead", {}).items():
            needs += f"; with `{address}`: {_nodes_in(nodes)}"
        lines.append(f"| `{name}` | {row['does']} | {needs} |")
    return "\n".join(lines)


def _nodes_in(names: list[str]) -> str:
    return " ".join(f"`{name}`" for name in names)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
