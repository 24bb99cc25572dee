"""The connection to a hub, and its refusals in words.

The token comes from ``huggingface_hub``'s own places (``HF_TOKEN``, its token file), or from a file that the user
names. It goes into the header of a request and nowhere else.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from splade.files import InputError
from splade.hub.contents import REPO_TYPES, Kind

NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
CLIENTS = ("httpx", "httpx2", "httpcore", "requests", "urllib3")
"""The packages whose errors say that a connection failed; which of them is used depends on the hub's library."""
TOKEN = "set HF_TOKEN, log in with `hf auth login`, or name a file that holds the token"
OFFLINE = "HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) is set, and this command speaks to the hub: unset it"
AGAIN = "the same command goes on: what was transferred is not transferred again"


def connect(env: Mapping[str, str], token_file: str | Path | None = None) -> HfApi:
    """The hub that ``HF_ENDPOINT`` of ``env`` names, or else the public one.

    ``token_file`` holds a token to use in place of ``huggingface_hub``'s own. InputError where it cannot be read, and
    where the environment wants no network.
    """
    if constants.HF_HUB_OFFLINE:
        raise InputError(OFFLINE)
    endpoint = env.get("HF_ENDPOINT")
    return HfApi(endpoint=endpoint.rstrip("/") if endpoint else None, token=_token(token_file), library_name="splade")


def check_name(repo: str, address: str) -> None:
    """InputError where ``repo`` is not ``NAME/MODEL``; ``address`` is the setting that names it."""
    if not NAME.fullmatch(repo) or ".." in repo or "--" in repo:
        raise InputError(f"{address}={repo}: name a repository as OWNER/NAME, of letters, digits, '-', '_' and '.'")


@contextmanager
def in_words(repo: str, kind: Kind, revision: str | None = None) -> Iterator[None]:
    """Have the hub's refusals, and a missing connection, raised as InputError: what was refused and what to do."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        told = _told(error, f"{repo} ({REPO_TYPES[kind]} repository)", revision)
        if told is None:
            raise
        raise InputError(told) from error


@contextmanager
def without_bars(silent: bool) -> Iterator[None]:
    """Have the hub's library draw no bars inside the block, if ``silent``."""
    drawn = not are_progress_bars_disabled()
    if silent and drawn:
        disable_progress_bars()
    try:
        yield
    finally:
        if silent and drawn:
            enable_progress_bars()


def is_passing(error: BaseException) -> bool:
    """True for a refusal that may be over soon: the hub is busy or down, or the connection broke."""
    if _of_disk(error):
        return False
    refused = _of_hub(error)
    if refused is not None:
        return refused.response is not None and refused.response.status_code in (408, 429, 500, 502, 503, 504)
    return _of_connection(error) or "Consistency check failed" in str(error)


def _token(token_file: str | Path | None) -> str | None:
    if token_file is None:
        return None
    try:
        token = Path(token_file).read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise InputError(f"{token_file}: holds no token: it is not text") from error
    if not token or len(token.split()) > 1:
        raise InputError(f"{token_file}: holds no token: one word is expected, and nothing else")
    return token


def _told(error: Exception, what: str, revision: str | None) -> str | None:
    """The sentence for ``error``; None where it is none of the hub's, nor of the connection."""
    if _of_disk(error):
        return None
    if any(isinstance(each, OfflineModeIsEnabled) for each in _chain(error)):
        return OFFLINE
    refused = _of_hub(error)
    if refused is None:
        reason = _reason(error)
        return (
            f"{what}: the hub cannot be reached ({reason}). Check the connection and HF_ENDPOINT; {AGAIN}"
            if (is_passing(error))
            else None
        )
    if isinstance(refused, RevisionNotFoundError):
        return f"{what}: has no revision {revision!r}. Name a branch, a tag or a commit that it has"
    if isinstance(refused, GatedRepoError):
        return f"{what}: its owner gives access on request. Ask for it on the hub's page of {what.split()[0]}"
    return _of_status(refused, error, what)


def _of_status(refused: HfHubHTTPError, error: Exception, what: str) -> str:
    status = refused.response.status_code
    said = f" ({refused.server_message})" if getattr(refused, "server_message", None) else ""
    if status == 401 and not isinstance(refused, RepositoryNotFoundError):
        return f"{what}: the hub refuses the token, or there is none: {TOKEN}{said}"
    if isinstance(refused, RepositoryNotFoundError) or status in (401, 404):
        return f"{what}: the hub has none of this name, or shows it to no one with this token. Check the name; {TOKEN}"
    if status == 403:
        return f"{what}: this token may not do that{said}. Use one with write access to {what.split('/')[0]}"
    if status in (409, 412):
        return f"{what}: it was changed meanwhile{said}. Nothing was changed by this command; run it again"
    if status == 429 or status >= 500:
        return f"{what}: the hub answered {status}{said}. Wait a little; {AGAIN}"
    return f"{what}: the hub refuses this with status {status}{said or f' ({_reason(error)})'}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """``error`` and what caused it."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _of_hub(error: BaseException) -> HfHubHTTPError | None:
    """The answer of the hub that caused ``error``; None where there was none."""
    found: Any = next((each for each in _chain(error) if isinstance(each, HfHubHTTPError)), None)
    return found if found is not None and found.response is not None else None


def _of_disk(error: BaseException) -> bool:
    """True for a refusal of the operating system, such as a full disk, whatever happened before it."""
    return isinstance(error, OSError) and error.errno is not None


def _of_connection(error: BaseException) -> bool:
    return any(kind.__module__.split(".")[0] in CLIENTS for each in _chain(error) for kind in type(each).__mro__[:-1])


def _reason(error: BaseException) -> str:
    """The last line of the innermost error that says anything."""
    texts = [str(each).strip() for each in _chain(error)]
    lines = next((text for text in reversed(texts) if text), type(error).__name__).splitlines()
    return lines[-1].rstrip(".")
