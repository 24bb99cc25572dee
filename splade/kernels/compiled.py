"""One decorator for every kernel."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from splade.records import SparseRows

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """``function`` compiled at its first call, without the GIL; the machine code is kept on disk.

    numba keeps it beside the source, or in the user's cache folder where that is read-only; where
    neither can be written (a locked-down container), it is compiled once per process instead. Kernels are
    compiled into one another, so the code that is kept is good for these sources of all of them alone.
    """
    return _compiled(function, from_python=True)


def inner_kernel(function: Function) -> Function:
    """`kernel` for a function that kernels alone call: Python cannot.

    numba writes a way in from Python for every compiled function, which takes thirty arrays apart where the
    function gets a query and an index. Leaving it out saves a sixth of the time that an index's first search compiles.
    """
    compiled: Any = _compiled(function, from_python=False)

    def refuse(*arguments: Any, **named: Any) -> None:  # noqa: ARG001
        raise TypeError(
            f"{function.__name__} can only be called by kernels: see `splade.kernels.compiled.inner_kernel`"
        )

    if hasattr(compiled, "overloads"):  # numba would jump to nowhere
        compiled._compile_for_args = refuse
        compiled.add_overload = lambda made: compiled.overloads.update({tuple(made.signature.args): made})
    return cast(Function, compiled)


def _compiled(function: Function, *, from_python: bool) -> Function:
    # Ways in from C are for callbacks and functions passed as arguments, of which there are none.
    options: dict[str, Any] = {"nogil": True, "no_cfunc_wrapper": True, "no_cpython_wrapper": not from_python}
    try:
        compiled: Any = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # "no locator available"
        return cast(Function, numba.njit(**options)(function))
    kept: Any = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if hasattr(kept, "_source_stamp"):  # numba itself looks at the file of the function, not at those it calls
        kept._source_stamp = (kept._source_stamp, _sources())
    return cast(Function, compiled)


@cache
def _sources() -> tuple[tuple[str, int, int], ...]:
    """Name, time of change and size of every file of kernels."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files)


def machine_code(function: Function, *arguments: Any) -> Function:
    """``function``, a kernel, for arguments of just these types, which are then no longer looked at.

    Finding out the types of thirty arrays takes numba longer than a short query. Calling the result with
    arguments of other types is undefined.
    """
    if not hasattr(function, "overloads"):  # where compilation is switched off
        return function
    signature = tuple(numba.typeof(argument) for argument in arguments)
    dispatcher: Any = function
    dispatcher.compile(signature)
    return cast(Function, dispatcher.overloads[signature].entry_point)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A plain, contiguous, read-only view of ``array``.

    numba compiles separately for writable and read-only arrays. Memory-mapped arrays are
    read-only, so making every other argument so as well means compiling a kernel once.
    """
    if type(array) is np.ndarray and array.flags.c_contiguous and not array.flags.writeable:
        return array
    view = np.ascontiguousarray(array).view(np.ndarray)
    view.flags.writeable = False
    return view


def read_only_rows(rows: SparseRows) -> SparseRows:
    """The same rows as `read_only` views."""
    return SparseRows(read_only(rows.offsets), read_only(rows.columns), read_only(rows.weights))
