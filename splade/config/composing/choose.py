"""Choose the config file to start from, and find the folders of the shipped configs, toy data and expected values."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from splade.config.composing.errors import ConfigError, hint

PACKAGE = Path(__file__).resolve().parents[2]
DEFAULT = "config_default"
NOT_PRIMARY = {"catalog", "settings", "commands"}
WIRING = "wiring"
"""The folder of conf/ that holds the wiring: no config, and no group of options."""


class Choice(NamedTuple):
    """The primary config: a name (its folder below ``directory`` included, no suffix)."""

    directory: Path
    name: str

    @property
    def path(self) -> Path:
        """The file itself."""
        return self.directory / f"{self.name}.yaml"


def conf_dir() -> Path:
    """The shipped configs: ``splade/conf`` in an installed wheel, ``conf`` in a checkout."""
    return _beside("conf", "conf")


def toy_dir() -> Path:
    """The toy data: ``splade/toy`` in an installed wheel, ``data/toy`` in a checkout."""
    return _beside("toy", "data/toy")


def expected_dir() -> Path:
    """The expected values: ``splade/expected`` in an installed wheel, ``expected`` in a checkout."""
    return _beside("expected", "expected")


def choose(env: Mapping[str, str], config_name: str | None = None, config_dir: str | None = None) -> Choice:
    """The config that the options ``--config-name``/``--config-dir`` or the environment ``env`` choose.

    The options win over ``SPLADE_CONFIG_NAME``; with neither, ``config_default``. ConfigError where the
    two variables, or an option and ``SPLADE_CONFIG_FULLPATH``, are both given, or the file is not there.
    """
    name, full = env.get("SPLADE_CONFIG_NAME"), env.get("SPLADE_CONFIG_FULLPATH")
    if name and full:
        raise ConfigError(
            f"SPLADE_CONFIG_NAME={name} and SPLADE_CONFIG_FULLPATH={full} are both set: each chooses a config; "
            "unset one of them"
        )
    if full and (config_name or config_dir):
        raise ConfigError(
            f"--config-name or --config-dir is given and SPLADE_CONFIG_FULLPATH={full} is set: use one of them"
        )
    if full:
        return _saved(Path(full))
    by = "--config-name" if config_name else "SPLADE_CONFIG_NAME"
    return _named(config_name or name or DEFAULT, config_dir, by)


def config_names(directory: Path) -> list[str]:
    """The primary configs below ``directory``: its ``config*.yaml`` files, one folder deep."""
    files = [*directory.glob("config*.yaml"), *directory.glob("*/config*.yaml")]
    return sorted(file.relative_to(directory).with_suffix("").as_posix() for file in files)


def _saved(path: Path) -> Choice:
    path = path.expanduser().resolve()
    if path.is_dir() and (path / "config.yaml").is_file():
        path = path / "config.yaml"
    if not path.is_file():
        raise ConfigError(f"SPLADE_CONFIG_FULLPATH={path}: there is no such file")
    if path.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"SPLADE_CONFIG_FULLPATH={path}: a config ends in .yaml")
    return Choice(path.parent, path.stem)


def _named(name: str, config_dir: str | None, by: str) -> Choice:
    directories = [conf_dir()]
    if config_dir:
        own = Path(config_dir).expanduser().resolve()
        if not own.is_dir():
            raise ConfigError(f"--config-dir={config_dir}: there is no such folder")
        directories.insert(0, own)
    stem = name.removesuffix(".yaml").removesuffix(".yml").strip("/")
    for directory in directories:
        if stem not in NOT_PRIMARY and stem.split("/")[0] != WIRING and (directory / f"{stem}.yaml").is_file():
            return Choice(directory, stem)
    names = sorted({found for directory in directories for found in config_names(directory)})
    looked = " or ".join(str(directory) for directory in directories)
    raise ConfigError(f"{by}={name}: no such config in {looked}{hint(stem, names)}\nthere are: {', '.join(names)}")


def _beside(installed: str, checkout: str) -> Path:
    inside = PACKAGE / installed
    return inside if inside.is_dir() else PACKAGE.parent / checkout
