"""1×1 convolutions as what they are, products with a matrix, where nobody has put anything else in their place."""

from torch import nn
from torch.nn.modules import module as _module

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_GLOBAL_HOOKS = (
    "_global_forward_hooks",
    "_global_forward_pre_hooks",
    "_global_backward_hooks",
    "_global_backward_pre_hooks",
)


def pointwise(*modules: nn.Module) -> bool:
    """Whether the modules are torch's own 1×1 convolutions and no hook wants to see them called."""
    return not any(getattr(_module, name) for name in _GLOBAL_HOOKS) and all(map(_pointwise, modules))


def _pointwise(module: nn.Module) -> bool:
    # Whatever wraps or quantises a convolution, or computes its weight, gives it another class.
    if type(module) is not nn.Conv2d or "forward" in vars(module) or any(getattr(module, name) for name in _HOOKS):
        return False
    return (module.kernel_size, module.stride, module.padding, module.groups) == ((1, 1), (1, 1), (0, 0), 1)
