"""Passwords, tokens and keys of servers: from the environment or a file, never from a config."""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from splade.files import InputError


def secret(variable: str, file: str | Path | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """The secret in ``file``, or else in the environment's ``variable``; None where neither is given.

    White space around it is none of it. InputError for a file that cannot be read or is empty; the message has no
    part of the secret.
    """
    if file is not None:
        try:
            told = Path(file).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file}: cannot read the secret in it ({type(error).__name__})") from error
        if not told:
            raise InputError(f"{file}: there is no secret in it; write the token or password there, and nothing else")
        return told
    return environment.get(variable, "").strip() or None


def refuse_secret_in(uri: str, setting: str, variable: str) -> None:
    """InputError where an address has a password or user in it: a config that is saved would have it too."""
    parts = urlsplit(uri)
    if "@" in parts.netloc:
        clean = urlunsplit(parts._replace(netloc=parts.netloc.rsplit("@", 1)[1]))
        raise InputError(
            f"{setting}={clean}, with a user or password in it: configs are saved and logged. Leave it out, and put "
            f"it into the environment's {variable} or a file of its own"
        )
