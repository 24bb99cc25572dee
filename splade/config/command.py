"""``@command``: from a function of a config to something that runs from the command line."""

import argparse
import errno
import functools
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from splade.config.blame import addresses, names_a_setting
from splade.config.choose import choose, conf_dir, config_names
from splade.config.compose import Groups, compose, parse_overrides
from splade.config.errors import ConfigError
from splade.config.multirun import Job, Sweep, plan, run
from splade.config.named import named
from splade.config.owners import foreign
from splade.config.processes import is_first, one_of_several
from splade.config.toy_data import toy_by_default
from splade.config.validate import require, wire
from splade.config.wiring import values_of
from splade.files import InputError
from splade.threads import settle

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
USAGE_ERROR, INTERRUPTED = 2, 130
FULL = "Free space there and run the same command again; what stood there before is whole"
CLOSED = "Make it writable, or name another folder"
REMEDIES = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EROFS: CLOSED,
    errno.EACCES: CLOSED,
    errno.EPERM: CLOSED,
    errno.ENOTDIR: "A file stands where a folder is needed: name another folder",
    errno.EEXIST: "A file stands where a folder is needed: name another folder",
}


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
        name = _name_of(function)
        return in_words(name, lambda: _run(function, name, sys.argv[1:], os.environ))

    return main


@functools.lru_cache(maxsize=1)
def commands() -> dict[str, dict[str, Any]]:
    """The table ``conf/commands.yaml``: what each command does and needs."""
    table: Any = OmegaConf.to_container(OmegaConf.load(conf_dir() / "commands.yaml"))
    return {str(name): row for name, row in table.items()}


def configure(name: str, overrides: Sequence[str] = (), env: Mapping[str, str] | None = None) -> DictConfig:
    """The config that the command ``name`` would run with: chosen, composed, wired and checked."""
    return _ready(name, choose(env or {}), overrides)


def help_of(name: str) -> str:
    """What a command does, its options, the groups and the configs; no command is imported for it."""
    row = commands().get(name, {})
    groups = Groups([conf_dir()])
    lines = [f"splade {name}: {row.get('does', '')}", "", _parser(name).format_help(), "groups:"]
    lines += [f"  {group} = {' | '.join(groups.options(group))}" for group in groups.names()]
    lines += [
        "",
        "configs (SPLADE_CONFIG_NAME=… or --config-name …; SPLADE_CONFIG_FULLPATH=FILE for a saved one):",
        *(f"  {config}" for config in config_names(conf_dir())),
        "",
        "all settings: docs/config.md",
    ]
    return "\n".join(lines)


def in_words(name: str, run: Callable[[], Result]) -> Result:
    """What ``run`` returns; the errors a user can repair are printed in a sentence and end the program.

    One of several processes (torchrun) ends at once after any error: the end of the interpreter might wait for threads
    that wait for the others, and these learn of the error by the end of this process.
    """
    try:
        return _in_words(name, run)
    except BaseException as error:
        if one_of_several(os.environ):
            _leave_at_once(error)
        raise


def _in_words(name: str, run: Callable[[], Result]) -> Result:
    try:
        with _threads_in_words():
            return run()
    except KeyboardInterrupt as error:
        _stop(name, str(error) or "interrupted", INTERRUPTED, error)
    except (InputError, OSError, InstantiationException) as error:
        told = _told(error)
        if told is None:
            raise
        _stop(name, told, USAGE_ERROR, error)
    except OmegaConfBaseException as error:
        _stop(name, str(error).splitlines()[0], USAGE_ERROR, error)
    raise AssertionError("unreachable")


def _run(
    function: Callable[[DictConfig], Result], name: str, argv: Sequence[str], env: Mapping[str, str]
) -> Result | None:
    options = _parser(name).parse_intermixed_args(argv)
    spelt = [f"{key}={value}" for key in _spellings(name).values() if (value := getattr(options, key)) is not None]
    options.overrides += spelt
    if options.help:
        print(help_of(name))
        return None
    choice = choose(env, options.config_name, options.config_dir)
    sweep = Sweep([Job("", {}, options.overrides)], [], None)
    if options.multirun:
        writes = commands().get(name, {}).get("writes", [])
        sweep = plan(options.overrides, writes, lambda overrides: _ready(name, choice, overrides))
    if options.cfg:
        for job in sweep.jobs:
            print(_shown(_ready(name, choice, job.overrides), options.resolve), end="")
        return None
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if one_of_several(env) and not commands().get(name, {}).get("several"):
        if not is_first(env):
            return None
        logger.warning("splade %s runs in one process: the others of %s have left", name, env["WORLD_SIZE"])
    if not options.multirun:
        return run_one(function, choice, options.overrides)
    one = functools.partial(run_one, function, choice)
    return run(sweep, one, (f"splade.{name}", function.__name__), choice)  # type: ignore[return-value]


def run_one(function: Callable[[DictConfig], Result], choice: Any, overrides: Sequence[str]) -> Result:
    """What the command ``function`` returns for the chosen config with ``overrides``."""
    name = _name_of(function)
    cfg = _ready(name, choice, overrides)
    writes = commands().get(name, {}).get("writes", [])
    told = toy_by_default(cfg, choice, parse_overrides(overrides), _needs(name, cfg), writes)
    if told and os.environ.get("RANK", "0") == "0":
        logger.warning("splade %s: %s", name, told)
    return _blaming(cfg, lambda cfg: _run_on_gpus(function, cfg) if "gpu" in _needs(name, cfg) else function(cfg))


def _run_on_gpus(function: Callable[[DictConfig], Result], cfg: DictConfig) -> Result:
    """What ``function`` returns, once the GPUs are checked and set as the config says."""
    instantiate(cfg.gpu)
    return function(cfg)


def _blaming(cfg: DictConfig, function: Callable[[DictConfig], Result]) -> Result:
    """What ``function`` returns; an error about a file says which setting named the file.

    A ValueError of a constructor that names a setting is about its value, and is told in words as well.
    """
    try:
        return function(cfg)
    except (InputError, OSError, InstantiationException) as error:
        told = _told(error)
        named = addresses(told, cfg) if told else []
        if not named:
            raise
        raise InputError(f"{told} (named by {' and '.join(named)})") from error
    except ValueError as error:
        if not names_a_setting(str(error)):
            raise
        raise InputError(str(error)) from error


def _ready(name: str, choice: Any, overrides: Sequence[str]) -> DictConfig:
    cfg = wire(compose(choice, overrides), named(choice, overrides))
    if problems := list(foreign(name, overrides, commands())):
        raise ConfigError.all_of(problems)
    require(cfg, _needs(name, cfg))
    return cfg


def _needs(name: str, cfg: DictConfig) -> Sequence[str]:
    """The wired nodes that the command ``name`` reads of ``cfg``."""
    row = commands().get(name, {})
    instead = [nodes for address, nodes in row.get("instead", {}).items() if OmegaConf.select(cfg, address)]
    needs: Sequence[str] = instead[0] if instead else row.get("needs", [])
    return needs


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"splade {name}", add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="values (config.lr=1e-5), groups (loss=kl)")
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


def _name_of(function: Callable[..., Any]) -> str:
    """``index`` for a function of ``splade.index``, run as a module or imported."""
    module = function.__module__
    if module == "__main__":
        spec = function.__globals__.get("__spec__")
        module = spec.name if spec is not None else module
    return module.removeprefix("splade.")


@contextmanager
def _threads_in_words() -> Iterator[None]:
    """Have a thread that fails on a file (TensorBoard's, on a full disk) say so in a line, without a traceback."""
    former = threading.excepthook

    def say(failed: Any) -> None:
        if isinstance(failed.exc_value, OSError):
            print(_sentence(failed.exc_value), file=sys.stderr)
        else:
            former(failed)

    threading.excepthook = say
    try:
        yield
    finally:
        threading.excepthook = former


def _told(error: BaseException) -> str | None:
    """The sentence for an error that a user can repair; None for any other."""
    if not isinstance(error, InstantiationException):
        return _sentence(error)
    if not isinstance(error.__cause__, ValueError | TypeError | OSError | ImportError):
        return None
    node = re.search(r"full_key: (\S+)", str(error))
    return _sentence(error.__cause__, node[1] if node else "")


def _sentence(error: BaseException, where: str = "") -> str:
    text = str(error).strip() or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        remedy = REMEDIES.get(error.errno or 0)
        text = f"{text}. {remedy}" if remedy else text
    return text if isinstance(error, InputError) or not where else f"{where}: {text}"


def _leave_at_once(error: BaseException) -> NoReturn:
    """End this process now, with the exit code of ``error``, which is printed unless it says only that."""
    if not isinstance(error, SystemExit):
        traceback.print_exception(error)
    elif isinstance(error.code, str):
        print(error.code, file=sys.stderr)
    code = (error.code or 0) if isinstance(error, SystemExit) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def _stop(name: str, message: str, code: int, error: BaseException) -> None:
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        raise error
    print(f"splade {name}: {message}", file=sys.stderr)
    raise SystemExit(code) from None
