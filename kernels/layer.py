"""The local relation layer: key, query and output 1×1 convolutions around the operator (paper, Fig. 2)."""

from typing import TypedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .functional import local_relation
from .pointwise import pointwise
from .prior import GeometricPrior, TablePrior
from .problem import Problem, require_choice, require_int, resolve_padding
from .registry import IMPLEMENTATIONS

PRIORS = ("network", "table", "none")


class LayerOptions(TypedDict, total=False):
    """What a `LocalRelation2d` takes that changes no shape, and is not where or of which dtype it is."""

    composability: str
    prior: str
    prior_hidden: int | None
    padding_mode: str
    channel_order: str
    bias: bool
    implementation: str


class LocalRelation2d(nn.Module):
    """A drop-in for a spatial convolution of equal input and output channels: (N, C, H, W) → (N, C, Ho, Wo).

    y = W_o · Σ softmax(Φ(W_q·x_p', W_k·x_p) + prior(p − p'))·x_p over the k×k window of p'. The query is taken at
    window centres only, which gives the paper's (1 + s²)/m. The value is the input itself.

    Args:
        channels: C, in and out.
        kernel_size: k, the window's side in taps.
        m: Channels that share a weight; C = 100 with m = 8 gives 13 groups, the last of 4 channels.
        stride: s, input pixels from one window's centre to the next.
        padding: Pixels around the image, or "same" for d·(k−1)/2 (odd k).
        dilation: d, pixels from one tap to the next.
        composability: Φ, as in `local_relation`.
        prior: "network" (`GeometricPrior`), "table" (`TablePrior`) or "none".
        prior_hidden: Width of the network's hidden layer; by default half the groups, as in the article.
        padding_mode: "mask" or "zeros", as in `local_relation`.
        channel_order: "consecutive" or "strided", as in `local_relation`.
        bias: Whether the three 1×1 convolutions have one.
        implementation: As in `local_relation`.
        device: Of the parameters.
        dtype: Of the parameters.

    Raises:
        TypeError: A size is not an int.
        ValueError: A size or option is out of range.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int = 7,
        *,
        m: int = 8,
        stride: int = 1,
        padding: int | str = "same",
        dilation: int = 1,
        composability: str = "multiplication",
        prior: str = "network",
        prior_hidden: int | None = None,
        padding_mode: str = "mask",
        channel_order: str = "consecutive",
        bias: bool = False,
        implementation: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        require_choice("prior", prior, PRIORS)
        require_choice("implementation", implementation, ("auto", *IMPLEMENTATIONS))
        if prior_hidden is not None:
            prior_hidden = require_int("prior_hidden", prior_hidden, 1)
            if prior != "network":
                raise ValueError(f'prior_hidden is taken by prior="network", got {prior_hidden} with prior={prior!r}')
        options = {
            "kernel_size": kernel_size,
            "m": m,
            "stride": stride,
            "padding": resolve_padding(padding, kernel_size, dilation),
            "dilation": dilation,
            "composability": composability,
            "padding_mode": padding_mode,
            "channel_order": channel_order,
        }
        span = dilation * kernel_size  # an image that a window always fits
        problem = Problem(batch=1, channels=channels, height=span, width=span, **options)  # type: ignore[arg-type]
        self.options = {name: getattr(problem, name) for name in options}
        groups, channels, kernel_size = problem.groups, problem.channels, problem.kernel_size
        self.channels, self.implementation = channels, implementation
        self.key = nn.Conv2d(channels, groups, 1, bias=bias, device=device, dtype=dtype)
        self.query = nn.Conv2d(channels, groups, 1, bias=bias, device=device, dtype=dtype)
        self.output = nn.Conv2d(channels, channels, 1, bias=bias, device=device, dtype=dtype)
        self.prior: GeometricPrior | TablePrior | None = None
        if prior == "network":
            self.prior = GeometricPrior(groups, kernel_size, prior_hidden, device, dtype)
        elif prior == "table":
            self.prior = TablePrior(groups, kernel_size, device, dtype)

    def reset_parameters(self) -> None:
        """Restore everything, as after `to_empty`: weights are drawn anew, and so is the prior made."""
        for part in (self.key, self.query, self.output, self.prior):
            if part is not None:
                part.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, Ho, Wo).

        Raises:
            ValueError: The input has another shape or channel count than the layer takes, or no window fits it.
        """
        if x.dim() != 4 or x.shape[1] != self.channels:
            raise ValueError(f"input must have shape (N, {self.channels}, H, W), got {tuple(x.shape)}")
        key, query = self._key_and_query(x, self._problem(*x.shape))
        # Under autocast the convolutions give its dtype, and the value follows.
        value = x.to(key.dtype)
        prior = None if self.prior is None else self.prior()
        relation = local_relation(
            query,
            key,
            value,
            prior,
            implementation=self.implementation,
            **self.options,
        )
        return self.output(relation)  # type: ignore[no-any-return]

    def _key_and_query(self, x: Tensor, problem: Problem) -> tuple[Tensor, Tensor]:
        """Key (N, G, H, W) and query (N, G, Ho, Wo), in one convolution where every pixel is a window's centre."""
        key, query = self.key, self.query
        whole = problem.stride == 1 and 2 * problem.padding == problem.span - 1
        if not (whole and pointwise(key, query) and (key.bias is None) == (query.bias is None)):
            rows, columns = problem.centres
            return key(x), query(x[:, :, rows, columns])
        bias = None if key.bias is None or query.bias is None else torch.cat([key.bias, query.bias])
        both = F.conv2d(x, torch.cat([key.weight, query.weight]), bias)
        of_key, of_query = both.split((key.out_channels, query.out_channels), 1)
        return of_key, of_query

    def extra_repr(self) -> str:
        """Channels and options, as the constructor takes them."""
        options = {**self.options, "implementation": self.implementation}
        return ", ".join([str(self.channels), *(f"{name}={value!r}" for name, value in options.items())])

    def _problem(self, batch: int, channels: int, height: int, width: int) -> Problem:
        return Problem(batch=batch, channels=channels, height=height, width=width, **self.options)
