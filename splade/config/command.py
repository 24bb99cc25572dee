"""``@command``: from a function of a config to something that runs from the command line."""

import argparse
import functools
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from omegaconf import DictConfig, OmegaConf

from splade.config.checking.wiring import values_of
from splade.config.composing.choose import choose, conf_dir, config_names
from splade.config.composing.compose import Groups, quoted
from splade.config.composing.processes import is_first, one_of_several
from splade.config.execution import commands, name_of, ready, run_one
from splade.config.multirun import Job, Sweep, plan, run
from splade.config.words import in_words
from splade.threads import settle

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
HTTP_CLIENTS = ("httpx", "httpx2")
"""The packages that speak to a hub, one or the other by version; they log a line for every request."""


def command(function: Callable[[DictConfig], Result]) -> Callable[..., Result | None]:
    """``function`` as a command: without an argument it takes its config from the command line.

    Called with a config it just runs, so that commands can call each other. From the command line the
    config is chosen, composed, wired and checked first. What the user can repair is told in words, with
    exit code 2 (130 after Ctrl-C); ``HYDRA_FULL_ERROR=1`` shows the traceback as well.
    """

    @functools.wraps(function)
    def main(cfg: DictConfig | None = None) -> Result | None:
        if cfg is not None:
            return function(cfg)
        settle(os.environ)  # for a command that somebody else's program calls, and that has not loaded torch yet
        name = name_of(function)
        return in_words(name, lambda: _run(function, name, sys.argv[1:], os.environ))

    return main


def help_of(name: str) -> str:
    """Return the help of a command: its purpose, options, groups and configs; no command is imported for it."""
    row = commands().get(name, {})
    groups = Groups([conf_dir()])
    lines = [f"splade {name}: {row.get('does', '')}", "", _parser(name).format_help(), "groups:"]
    lines += [f"  {group} = {' | '.join(groups.options(group))}" for group in groups.names()]
    lines += [
        "",
        "configs (SPLADE_CONFIG_NAME=… or --config-name …; SPLADE_CONFIG_FULLPATH=FILE for a saved one):",
        *(f"  {config}" for config in config_names(conf_dir())),
        "",
        "all settings: docs/reference/settings.md",
    ]
    return "\n".join(lines)


def _run(
    function: Callable[[DictConfig], Result], name: str, argv: Sequence[str], env: Mapping[str, str]
) -> Result | None:
    options = _parser(name).parse_intermixed_args(argv)
    spelt = [f"{key}={value}" for key in _spellings(name).values() if (value := getattr(options, key)) is not None]
    options.overrides = _as_typed(name, _named(name, options.overrides)) + spelt
    if options.help:
        print(help_of(name))
        return None
    choice = choose(env, options.config_name, options.config_dir)
    sweep = Sweep([Job("", {}, options.overrides)], [], None)
    if options.multirun:
        row = commands().get(name, {})
        writes, parts = row.get("writes", []), row.get("parts", [])
        sweep = plan(options.overrides, writes, lambda overrides: ready(name, choice, overrides), parts)
    if options.cfg:
        for job in sweep.jobs:
            print(_shown(ready(name, choice, job.overrides), options.resolve), end="")
        return None
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    for client in HTTP_CLIENTS:
        logging.getLogger(client).setLevel(logging.WARNING)
    if one_of_several(env) and not commands().get(name, {}).get("several"):
        if not is_first(env):
            return None
        logger.warning("splade %s runs in one process: the others of %s have left", name, env["WORLD_SIZE"])
    if not options.multirun:
        return run_one(function, choice, options.overrides)
    one = functools.partial(run_one, function, choice)
    return run(sweep, one, (f"splade.{name}", function.__name__), choice)  # type: ignore[return-value]


def _named(name: str, arguments: Sequence[str]) -> list[str]:
    """The overrides, with bare words among ``arguments`` as the value of the setting that the command takes so."""
    address = commands().get(name, {}).get("word")
    words = [each for each in arguments if address and "=" not in each and not each.startswith("~")]
    rest = [each for each in arguments if each not in words]
    if not words:
        return rest
    return [f"{address}={words[0] if len(words) == 1 else '[' + ','.join(words) + ']'}", *rest]


def _as_typed(name: str, overrides: Sequence[str]) -> list[str]:
    """The overrides, the values of the command's ``texts`` quoted: what is typed there is text, whatever is in it.

    A value in quotes of its own is taken as Hydra reads it.
    """
    texts = commands().get(name, {}).get("texts", [])
    return [quoted(each) if each.partition("=")[0].lstrip("+") in texts else each for each in overrides]


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"splade {name}", add_help=False, allow_abbrev=False)
    word = commands().get(name, {}).get("word")
    helped = "values (config.lr=1e-5), groups (loss=kl)" + (f"; a bare word is {word}=WORD" if word else "")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help=helped)
    parser.add_argument("--help", "-h", action="store_true", help="show this")
    parser.add_argument("--config-name", "-cn", metavar="NAME", help="a config of conf/, .yaml optional")
    parser.add_argument("--config-dir", "-cd", metavar="DIR", help="a folder of your own configs, looked in first")
    parser.add_argument("--multirun", "-m", action="store_true", help="run once for each of key=value1,value2")
    parser.add_argument("--cfg", "-c", choices=["job"], help="print the config and do nothing else")
    for option, address in _spellings(name).items():
        parser.add_argument(f"--{option}", dest=address, metavar="VALUE", help=f"the same as {address}=VALUE")
    parser.add_argument("--resolve", action="store_true", help="with --cfg: print what references stand for")
    return parser


def _spellings(name: str) -> dict[str, str]:
    """The settings that a command also takes as options, by option."""
    found: dict[str, str] = commands().get(name, {}).get("options", {})
    return found


def _shown(cfg: DictConfig, resolve: bool) -> str:
    if not resolve:
        return str(OmegaConf.to_yaml(OmegaConf.create(values_of(cfg))))
    OmegaConf.set_struct(cfg, False)
    values = OmegaConf.masked_copy(cfg, [name for name in values_of(cfg) if name != "catalog"])
    values._set_parent(cfg)
    return str(OmegaConf.to_yaml(values, resolve=True))
