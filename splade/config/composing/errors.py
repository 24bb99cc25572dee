"""The error for a configuration that cannot be used, and hints at the name that was meant."""

import difflib
from collections.abc import Iterable

from splade.files import InputError


class ConfigError(InputError):
    """A setting that cannot be used; the message names its address, what is accepted and what to do."""

    @classmethod
    def all_of(cls, problems: Iterable[str]) -> "ConfigError":
        """One error for one or more problems, each on its own line."""
        return cls("\n".join(problems))


def nearest(name: str, accepted: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The name of ``accepted`` most like ``name``, whatever the case; None where none is near."""
    lowered = {candidate.lower(): candidate for candidate in sorted(accepted, reverse=True)}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=cutoff)
    return lowered[close[0]] if close else None


def hint(name: str, accepted: Iterable[str], cutoff: float = 0.6) -> str:
    """``"; did you mean 'x'?"``, or nothing where no accepted name is near."""
    found = nearest(name, accepted, cutoff)
    return f"; did you mean '{found}'?" if found else ""


def nearest_address(address: str, accepted: Iterable[str]) -> str | None:
    """The address most like ``address``; its last name weighs more than where it stands."""

    def likeness(candidate: str) -> float:
        ends = _ratio(address.rpartition(".")[2], candidate.rpartition(".")[2])
        return 0.6 * ends + 0.4 * _ratio(address, candidate)

    best = max(accepted, key=lambda candidate: (likeness(candidate), candidate), default=None)
    return best if best is not None and likeness(best) >= 0.6 else None


def _ratio(left: str, right: str) -> float:
    return difflib.SequenceMatcher(None, left.lower(), right.lower()).ratio()
