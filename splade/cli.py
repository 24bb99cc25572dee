"""The ``splade`` console script: ``splade train …`` is ``python -m splade.train …``."""

import os
import runpy
import sys
from collections.abc import Sequence

from splade import __version__
from splade.config.command import help_of
from splade.config.composing.errors import nearest
from splade.config.execution import commands
from splade.config.words import USAGE_ERROR, in_words
from splade.threads import settle


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command that the first argument names with the others; without one, list the commands."""
    given = list(sys.argv[1:] if argv is None else argv)
    if not given or given[0] in ("-h", "--help", "help"):
        print(listing())
        return
    if given[0] == "--version":
        print(f"splade {__version__}")
        return
    name = given[0].replace("-", "_")
    if name not in commands():
        near = nearest(name, commands())
        print(f"splade: there is no command {given[0]}" + (f"; did you mean {near}?" if near else ""), file=sys.stderr)
        print(listing(), file=sys.stderr)
        raise SystemExit(USAGE_ERROR)
    if {"-h", "--help"} & set(given) and not commands()[name].get("plain"):
        print(help_of(name))
        return
    _look_in_launch_folder()
    settle(os.environ)  # before the command's module loads torch
    module = f"splade.{name}"
    sys.argv = [module, *given[1:]]
    in_words(name, lambda: runpy.run_module(module, run_name="__main__", alter_sys=True))


def _look_in_launch_folder() -> None:
    """Find modules of the folder of launch first, as ``python -m`` does, unless Python was told not to."""
    here = os.getcwd()  # noqa: PTH109
    if not getattr(sys.flags, "safe_path", False) and not {"", here} & set(sys.path):
        sys.path.insert(0, here)


def listing() -> str:
    """One line for each command."""
    table = commands()
    width = max(map(len, table))
    lines = [f"  {name:<{width}}  {row['does']}" for name, row in table.items()]
    return "\n".join(
        [
            "usage: splade COMMAND [key=value …]        (or: python -m splade.COMMAND [key=value …])",
            "",
            *lines,
            "",
            "splade COMMAND --help lists configs, groups and options.",
        ]
    )


if __name__ == "__main__":
    main()
