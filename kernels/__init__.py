"""The local relation layer (Local Relation Networks, ICCV 2019) in several implementations behind one interface.

What is asked for is loaded then: the table of implementations and the options need no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bottleneck import (
        BottleneckNet,
        Stage,
        Stem,
        convolution_stem,
        pointwise_stem,
        relation_stem,
        spatial_conv,
    )
    from .functional import local_relation
    from .implementations.triton_fused import compile_fused, fused_steps, stubbed_launches
    from .implementations.triton_fused.binary import CompiledKernel
    from .implementations.triton_fused.settings import Settings as FusedSettings
    from .implementations.triton_fused.tuner import FusedTuner
    from .layer import LocalRelation2d
    from .memory import free_bytes
    from .networks import (
        NETWORKS,
        build_network,
        lr_net,
        lr_net_26,
        lr_net_50,
        lr_net_101,
        resnet,
        resnet_26,
        resnet_50,
        resnet_101,
    )
    from .operands import problem_of
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
    from .registry import (
        IMPLEMENTATIONS,
        Implementation,
        describe_binary,
        describe_settings,
        predicted_bytes,
        resolve,
        unsupported,
    )
    from .replace import replace_spatial_convs

__all__ = [
    "CHANNEL_ORDERS",
    "COMPOSABILITIES",
    "DTYPES",
    "IMPLEMENTATIONS",
    "MEMORY_FORMATS",
    "NETWORKS",
    "PADDING_MODES",
    "BottleneckNet",
    "CompiledKernel",
    "FusedSettings",
    "FusedTuner",
    "GeometricPrior",
    "Implementation",
    "LocalRelation2d",
    "Problem",
    "Stage",
    "Stem",
    "TablePrior",
    "build_network",
    "compile_fused",
    "convolution_stem",
    "describe_binary",
    "describe_settings",
    "free_bytes",
    "fused_steps",
    "local_relation",
    "lr_net",
    "lr_net_26",
    "lr_net_50",
    "lr_net_101",
    "pointwise_stem",
    "predicted_bytes",
    "problem_of",
    "relation_stem",
    "replace_spatial_convs",
    "resnet",
    "resnet_26",
    "resnet_50",
    "resnet_101",
    "resolve",
    "resolve_padding",
    "spatial_conv",
    "stubbed_launches",
    "unsupported",
]

# Where the names are, those that need no torch first.
_MODULES = (
    *("problem", "registry", "memory", "operands", "functional", "prior", "layer", "bottleneck", "networks", "replace"),
    *(f"implementations.triton_fused{part}" for part in ("", ".binary", ".settings", ".tuner")),
)
_ELSEWHERE = {"FusedSettings": "Settings"}


def __getattr__(name: str) -> Any:
    """Load the module that has a public name, and keep the name here."""
    if name in __all__:
        own = _ELSEWHERE.get(name, name)
        for module in _MODULES:
            found = vars(import_module(f".{module}", __name__))
            if own in found:
                globals()[name] = found[own]
                return found[own]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
