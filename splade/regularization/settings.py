"""Penalties from the settings at ``config.regularizer``, strictly: a key that is not understood is an error."""

import difflib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from splade.files import InputError
from splade.files.dotted import is_dotted, located
from splade.regularization.controller import DEFAULT_STEPS, TargetController
from splade.regularization.penalties import Measure, Penalty
from splade.regularization.ramps import ConstantRamp, LinearRamp, QuadraticRamp, Ramp

ADDRESS = "config.regularizer"
EVAL_ONLY = "eval_only"
KEYS = ("reg", "lambda_q", "lambda_d", "T", "targeted_rep", "target_q", "target_d", "target_steps")
SIDES = {"lambda_q": "query", "lambda_d": "document"}
RAMPS: dict[str, Callable[[float, int], Ramp]] = {
    "quadratic": QuadraticRamp,
    "linear": LinearRamp,
    "constant": ConstantRamp,
}


def penalties_from(settings: Any, catalog: Mapping[str, str], ramp: str = "quadratic") -> list[Penalty]:
    """The penalties and monitors of ``settings``, each once per side, queries first.

    ``settings`` is ``{NAME: {reg, lambda_q, lambda_d, T, targeted_rep: rep}}``: ``reg`` (default NAME) is a
    name of ``catalog`` (name to dotted path of a class), or a dotted path; T is in optimizer steps, null or 0 for
    full weight from the start; an absent λ leaves that side alone and λ = 0 watches it. With ``target_q``
    or ``target_d`` a controller goes on from that λ, to so many non-zeros; ``target_steps`` says how fast. Other keys
    are arguments of the measure. The string ``eval_only`` in place of a NAME's settings measures both sides with weight
    0; in place of all settings it does so for the whole catalog but measures that need arguments. None or an empty
    mapping gives no penalties.

    InputError names the address, what is accepted and the nearest valid name.
    """
    _known(ramp, RAMPS, "config.ramp", "ramp")
    if settings is None:
        return []
    if settings == EVAL_ONLY:
        names = {path: name for name, path in catalog.items()}.values()
        settings = {name: EVAL_ONLY for name in names if not _needed(_class(name, catalog))}
    if not isinstance(settings, Mapping):
        raise InputError(f"{ADDRESS} must be a mapping of regularizers, {EVAL_ONLY!r} or null, got {settings!r}")
    penalties = [penalty for name in settings for penalty in _one(str(name), settings[name], catalog, ramp)]
    _each_once(penalties)
    return penalties


def _one(name: str, settings: Any, catalog: Mapping[str, str], ramp: str) -> list[Penalty]:
    """The penalties of one entry."""
    address = f"{ADDRESS}.{name}"
    if settings == EVAL_ONLY:
        settings = {"lambda_q": 0.0, "lambda_d": 0.0}
    if not isinstance(settings, Mapping):
        raise InputError(f"{address} must be a mapping with {', '.join(KEYS)}, or {EVAL_ONLY!r}, got {settings!r}")
    measured_by = _reg(settings, name, address, catalog)
    taken = [argument for argument in _arguments(measured_by) if argument not in KEYS]
    for key in settings:
        _known(key, [*KEYS, *taken], f"{address}.{key}", "key")
    targeted = settings.get("targeted_rep", "rep")
    if targeted != "rep":
        raise InputError(f"{address}.targeted_rep must be 'rep', got {targeted!r}")
    given = {key: settings[key] for key in taken if settings.get(key) is not None}
    steps = _steps(settings.get("T"), f"{address}.T")
    weights = {key: settings.get(key) for key in SIDES}
    if all(weight is None for weight in weights.values()):
        raise InputError(
            f"{address} has neither lambda_q nor lambda_d: give one of them (0 to measure without penalty), "
            f"or write {name}: {EVAL_ONLY}"
        )
    penalties = []
    for key, side in SIDES.items():
        if weights[key] is not None:
            measure = _measure(measured_by, given, address)
            target = _weight(weights[key], f"{address}.{key}")
            if target > 0 and getattr(measure, "monitor", False):
                raise InputError(f"{address}.{key} is {target}, but {type(measure).__name__} only counts: set 0")
            plain = _ramp(ramp, target, steps)
            penalties.append(Penalty(name, side, measure, _controlled(plain, target, settings, side, address)))
        elif settings.get(f"target_{side[0]}") is not None:
            raise InputError(f"{address}.target_{side[0]} needs {address}.{key}, the weight to start from")
    return penalties


def _controlled(ramp: Ramp, weight: float, settings: Mapping[str, Any], side: str, address: str) -> Ramp:
    """``ramp``, or a controller that goes on from it where the side has a target."""
    key = f"target_{side[0]}"
    if settings.get(key) is None:
        return ramp
    if not weight > 0:
        raise InputError(f"{address}.{key} needs a weight to start from: set {address}.lambda_{side[0]} above 0")
    try:
        return TargetController(ramp, float(settings[key]), int(settings.get("target_steps") or DEFAULT_STEPS))
    except ValueError as error:
        raise InputError(f"{address}.{key}: {error}") from error


def _reg(settings: Mapping[str, Any], name: str, address: str, catalog: Mapping[str, str]) -> Any:
    """The class of the measure that an entry names."""
    reg, where = str(settings.get("reg") or name), f"{address}.reg" if "reg" in settings else address
    if reg not in catalog and is_dotted(reg):
        try:
            return located(reg)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
    _known(reg, catalog, where, "regularizer")
    return _class(reg, catalog)


def _class(reg: str, catalog: Mapping[str, str]) -> Any:
    """Import the class of the regularizer that the catalog lists under ``reg``; InputError where that fails."""
    try:
        return located(str(catalog[reg]))
    except InputError as error:
        raise InputError(f"catalog.regularizer.{reg}: {error}") from error


def _measure(measured_by: Any, given: Mapping[str, Any], address: str) -> Measure:
    missing = [name for name in _needed(measured_by) if name not in given]
    if missing:
        raise InputError(f"{address}.{missing[0]} is needed by {measured_by.__name__} and not set")
    try:
        measure: Measure = measured_by(**given)
    except ValueError as error:
        raise error if isinstance(error, InputError) else InputError(f"{address}: {error}") from error
    return measure


def _arguments(measured_by: Any) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(measured_by).parameters


def _needed(measured_by: Any) -> list[str]:
    return [name for name, argument in _arguments(measured_by).items() if argument.default is argument.empty]


def _ramp(kind: str, target: float, steps: int | None) -> Ramp:
    return ConstantRamp(target) if steps is None else RAMPS[kind](target, steps)


def _weight(value: Any, address: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise InputError(f"{address} must be a finite number of at least 0, got {value!r}")
    return float(value)


def _steps(value: Any, address: str) -> int | None:
    """Optimizer steps to full weight; None for none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not (value >= 0 and value % 1 == 0):
        raise InputError(f"{address} must be a whole number of optimizer steps, 0 or null for none, got {value!r}")
    return int(value) or None


def _each_once(penalties: Iterable[Penalty]) -> None:
    """No measure twice on one side: its weight would silently be the sum."""
    seen: dict[tuple[type, str], str] = {}
    for penalty in penalties:
        key = (type(penalty.measure), penalty.side)
        if key in seen:
            raise InputError(
                f"{ADDRESS}.{penalty.name} and {ADDRESS}.{seen[key]} both put {type(penalty.measure).__name__} on the "
                f"{penalty.side} side: keep one, with the weight you want"
            )
        seen[key] = penalty.name


def _known(name: Any, accepted: Iterable[str], address: str, what: str) -> None:
    names = list(accepted)
    if name not in names:
        lowered = {accepted_name.lower(): accepted_name for accepted_name in names}
        close = difflib.get_close_matches(str(name).lower(), lowered, n=1, cutoff=0.5)
        hint = f"; did you mean {lowered[close[0]]!r}?" if close else ""
        raise InputError(f"{address}: unknown {what} {name!r}; accepted: {', '.join(names)}{hint}")
