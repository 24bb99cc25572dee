"""The model of a command: one that was exported, or one that torch computes. This module starts without torch."""

from typing import TYPE_CHECKING

from omegaconf import DictConfig

from splade.onnx.folder import OnnxModel
from splade.workflow.exported.settings import exported_from

if TYPE_CHECKING:
    from splade.models import Retriever


def model_from(cfg: DictConfig) -> "Retriever | OnnxModel":
    """The model of the config, ready to be encoded with: one that was exported, or one that torch computes."""
    exported = exported_from(cfg)
    if exported is not None:
        return exported
    from splade.workflow.model_loading import retriever_from  # only here: an exported model needs no torch

    return retriever_from(cfg)
