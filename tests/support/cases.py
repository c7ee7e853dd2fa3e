"""Cases of the operator as data: sizes, options, dtype, layout, magnitude; their inputs and results."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import pytest
import torch
from torch import Tensor

from kernels import IMPLEMENTATIONS, local_relation, problem_of, unsupported
from tests.support import oracle, plain
from tests.support.oracle import QUANTITIES, Array, Operands, Options, Reference, groups_of, out_size
from tests.support.tolerances import violations

every_implementation = pytest.mark.parametrize("implementation", list(IMPLEMENTATIONS))
# FlexAttention multiplies weights and values in their dtype, on tensor cores where there are any.
NARROW_WEIGHTS = frozenset({"flex"})
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A problem and how its inputs look; `prior` is the prior's dtype, "value" the value's, None no prior."""

    batch: int = 2
    channels: int = 6
    height: int = 7
    width: int = 5
    kernel_size: int = 3
    m: int = 2
    stride: int = 1
    padding: int | str = "same"
    dilation: int = 1
    composability: str = "multiplication"
    padding_mode: str = "mask"
    channel_order: str = "consecutive"
    prior: str | None = "value"
    dtype: str = "float32"
    layout: str = "contiguous"
    scale: float = 1.0
    shift: float = 0.0

    @property
    def keywords(self) -> dict[str, Any]:
        """The options, as the entry point takes them."""
        names = (
            "kernel_size",
            "m",
            "stride",
            "padding",
            "dilation",
            "composability",
            "padding_mode",
            "channel_order",
        )
        return {name: getattr(self, name) for name in names}

    @property
    def options(self) -> Options:
        """The options, with the padding in pixels."""
        same = self.dilation * (self.kernel_size - 1) // 2
        padding = same if isinstance(self.padding, str) else self.padding
        return Options(**{**self.keywords, "padding": padding})

    @property
    def torch_dtype(self) -> torch.dtype:
        """The value's dtype."""
        dtype = getattr(torch, self.dtype)
        assert isinstance(dtype, torch.dtype)
        return dtype


@dataclass(frozen=True)
class Inputs:
    """The operator's four tensors and the gradient of its output."""

    query: Tensor
    key: Tensor
    value: Tensor
    prior: Tensor | None
    grad: Tensor

    @property
    def arrays(self) -> Operands:
        """query, key, value and prior in float64 and numpy."""
        prior = None if self.prior is None else as_array(self.prior)
        return as_array(self.query), as_array(self.key), as_array(self.value), prior

    @property
    def operands(self) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """query, key, value and prior."""
        return self.query, self.key, self.value, self.prior


def cropped(x: Tensor) -> Tensor:
    """The middle of a larger tensor that is NaN around it."""
    larger = x.new_full((x.shape[0], x.shape[1] + 1, x.shape[2] + 3, x.shape[3] + 5), torch.nan)
    larger[:, 1:, 1:-2, 2:-3] = x
    return larger[:, 1:, 1:-2, 2:-3]


def every_second(x: Tensor) -> Tensor:
    """Every second channel and column of a tensor that is NaN between them."""
    larger = x.new_full((x.shape[0], 2 * x.shape[1], x.shape[2], 2 * x.shape[3]), torch.nan)
    larger[:, ::2, :, ::2] = x
    return larger[:, ::2, :, ::2]


def unaligned(x: Tensor) -> Tensor:
    """The same tensor one element further on, where no load of several elements is aligned."""
    larger = x.new_full((x.numel() + 1,), torch.nan)
    return larger[1:].as_strided(x.shape, x.contiguous().stride()).copy_(x)


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda x: x,
    "channels_last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "cropped": cropped,
    "every_second": every_second,
    "transposed": lambda x: x.mT.contiguous().mT,
    "expanded": lambda x: x[:1].expand(x.shape),
    "expanded_over_pixels": lambda x: x[:, :, :1, :1].expand(x.shape),
    "unaligned": unaligned,
    "unaligned channels last": lambda x: unaligned(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2),
    "batch_last": lambda x: x.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2),
}


def draw(case: Case) -> Inputs:
    """Normal numbers that depend on the case alone, query and key scaled and the key shifted as it says."""
    generator = torch.Generator().manual_seed(zlib.crc32(repr(case).encode()))
    options, groups = case.options, groups_of(case.channels, case.m)
    out = out_size(case.height, options), out_size(case.width, options)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    def laid_out(x: Tensor) -> Tensor:
        return LAYOUTS[case.layout](x.to(DEVICE, case.torch_dtype))

    prior = None
    if case.prior is not None:
        dtype = case.torch_dtype if case.prior == "value" else getattr(torch, case.prior)
        prior = normal(groups, case.kernel_size, case.kernel_size).to(DEVICE, dtype)
    return Inputs(
        query=laid_out(case.scale * normal(case.batch, groups, *out)),
        key=laid_out(case.scale * normal(case.batch, groups, case.height, case.width) + case.shift),
        value=laid_out(normal(case.batch, case.channels, case.height, case.width)),
        prior=prior,
        grad=laid_out(normal(case.batch, case.channels, *out)),
    )


def differentiated(operator: Callable[..., Tensor], inputs: Inputs) -> dict[str, Tensor]:
    """The operator's output and its gradients, by name."""
    leaves = [None if x is None else x.detach().requires_grad_() for x in inputs.operands]
    output = operator(*leaves)
    wanted = [leaf for leaf in leaves if leaf is not None]
    results = [output.detach(), *torch.autograd.grad(output, wanted, inputs.grad)]
    return dict(zip(QUANTITIES, results, strict=False))


def as_arrays(tensors: dict[str, Tensor]) -> dict[str, Array]:
    """The tensors in float64 and numpy."""
    return {name: as_array(tensor) for name, tensor in tensors.items()}


def as_array(tensor: Tensor) -> Array:
    """A tensor in float64 and numpy."""
    return tensor.detach().double().cpu().numpy()


@dataclass(frozen=True)
class Expected:
    """What the oracle says of some inputs, and plain PyTorch's results for them.

    `narrow_weights`: whether the implementation rounds weights to the value's dtype before it sums with them.
    """

    reference: Reference
    plain: dict[str, Array] = field(repr=False)
    dtype: torch.dtype
    narrow_weights: bool = False

    def only(self, *names: str) -> "Expected":
        """What is expected of some of the results."""
        values = {name: self.reference.values[name] for name in names}
        return replace(self, reference=replace(self.reference, values=values))

    def violations(self, actual: dict[str, Tensor]) -> dict[str, str]:
        """The results that are further from the oracle than the rule allows."""
        return violations(as_arrays(actual), self.plain, self.reference, self.dtype, narrow_weights=self.narrow_weights)


def expected_of(inputs: Inputs, options: Options) -> Expected:
    """Ask the oracle and plain PyTorch."""
    reference = oracle.local_relation(inputs.arrays, as_array(inputs.grad), options)
    results = differentiated(lambda q, k, v, p: plain.local_relation(q, k, v, p, options), inputs)
    return Expected(reference, as_arrays(results), inputs.value.dtype)


@lru_cache(maxsize=256)
def posed(case: Case) -> tuple[Inputs, Expected]:
    """A case's inputs and what is expected of them, worked out once for all implementations."""
    inputs = draw(case)
    return inputs, expected_of(inputs, case.options)


def refusal(implementation: str, inputs: Inputs, case: Case, *, backward: bool = True) -> str | None:
    """Why an implementation does not take a case, None where it does."""
    keywords = {**case.keywords, "padding": case.options.padding}
    return unsupported(implementation, problem_of(*inputs.operands, **keywords), DEVICE, backward=backward)


def take(implementation: str, case: Case, *, backward: bool = True) -> tuple[Inputs, Expected]:
    """A case's inputs and expectations; skips the test, with the reason, where the case is refused."""
    inputs, expected = posed(case)
    reason = refusal(implementation, inputs, case, backward=backward)
    if reason is not None:
        pytest.skip(reason)
    return inputs, replace(expected, narrow_weights=implementation in NARROW_WEIGHTS)


def run(implementation: str, inputs: Inputs, case: Case, **extra: Any) -> dict[str, Tensor]:
    """An implementation's output and gradients."""
    options = {**case.keywords, "implementation": implementation, **extra}
    return differentiated(lambda q, k, v, p: local_relation(q, k, v, p, **options), inputs)


def run_forward(implementation: str, inputs: Inputs, case: Case) -> dict[str, Tensor]:
    """An implementation's output, where no gradient is asked for."""
    with torch.no_grad():
        return {"output": local_relation(*inputs.operands, implementation=implementation, **case.keywords)}
