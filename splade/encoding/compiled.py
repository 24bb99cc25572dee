"""The transformer compiled by torch.compile, or uncompiled if that fails."""

import logging
from typing import Any

import torch
from torch import nn

logger = logging.getLogger(__name__)


class Compiled(nn.Module):
    """Calls ``base`` compiled, for texts of any number and length; warns once and calls it uncompiled if that fails.

    Compilation takes place in the first calls, a minute or so, and pays for large collections. Texts come padded.
    """

    is_compiled = True

    def __init__(self, base: Any) -> None:
        super().__init__()
        self._base = [base]  # in a list, it is no part of this module
        self._call: Any = None
        try:
            self._call = torch.compile(base, dynamic=True)
        except RuntimeError as error:  # of a Python that is newer than torch, say
            _tell(error)

    @property
    def config(self) -> Any:
        """The transformer's config."""
        return self._base[0].config

    @property
    def dtype(self) -> Any:
        """The type of the transformer's weights."""
        return self._base[0].dtype

    def forward(self, **given: Any) -> Any:
        """Return the output of ``base``, by its compiled form if that works."""
        if self._call is not None:
            try:
                return self._call(**given)
            except _compiler_errors() as error:
                _tell(error)
                self._call = None
        return self._base[0](**given)


def _compiler_errors() -> tuple[type[BaseException], ...]:
    from torch._dynamo.exc import TorchDynamoException  # only here: it takes long to load
    from torch._inductor.exc import CppCompileError, InvalidCxxCompiler

    return TorchDynamoException, CppCompileError, InvalidCxxCompiler


def _tell(error: BaseException) -> None:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    logger.warning("config.compile: torch.compile cannot be used here (%s); encoding without it", lines[0])
