"""The local relation layer (Local Relation Networks, ICCV 2019) in several implementations behind one interface."""

from .functional import local_relation, problem_of
from .layer import LocalRelation2d
from .prior import GeometricPrior, TablePrior
from .problem import (
    CHANNEL_ORDERS,
    COMPOSABILITIES,
    DTYPES,
    MEMORY_FORMATS,
    PADDING_MODES,
    Problem,
    resolve_padding,
)
from .registry import IMPLEMENTATIONS, Implementation, describe_settings, predicted_bytes, resolve, unsupported
from .replace import replace_spatial_convs
from .triton_fused import compile_fused
from .triton_fused.binary import CompiledKernel
from .triton_fused.settings import Settings as FusedSettings
from .triton_fused.tuner import FusedTuner

__all__ = [
    "CHANNEL_ORDERS",
    "COMPOSABILITIES",
    "DTYPES",
    "IMPLEMENTATIONS",
    "MEMORY_FORMATS",
    "PADDING_MODES",
    "CompiledKernel",
    "FusedSettings",
    "FusedTuner",
    "GeometricPrior",
    "Implementation",
    "LocalRelation2d",
    "Problem",
    "TablePrior",
    "compile_fused",
    "describe_settings",
    "local_relation",
    "predicted_bytes",
    "problem_of",
    "replace_spatial_convs",
    "resolve",
    "resolve_padding",
    "unsupported",
]
