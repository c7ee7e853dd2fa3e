"""A whole network as what is timed, inference or a training step, and its check against float64."""

import math
import re
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from kernels import BottleneckNet, Problem, lr_net, resnet

from ..case.case import Case
from ..device.timing import Call
from .check import TOLERANCES, Error, Expected, Fingerprints, largest_error
from .workloads import MEMORY_FORMATS, Tensors

CLASSES = 1000
# Of the gradients of all weights of a kind together, as of every block's key. No gradient scores 1, windows that are a
# pixel off about 1; right results at depth 26 to 101 score up to 1e-5 in float32, 0.2 in float16, 0.4 in bfloat16.
GRADIENT_TOLERANCES = {"float64": 1e-8, "float32": 1e-3, "float16": 0.4, "bfloat16": 0.7}
_AUTOCAST = ("float16", "bfloat16")
# float16 would lose small gradients: the loss is scaled up, and the step down.
_LOSS_SCALE = {"float16": 1024.0}
# Small, as it is the same batch that is learned again and again.
_LEARNING_RATE = 1e-4

_BLOCK_WEIGHT = 0.25
_OPTIONS = ("kernel_size", "m", "dilation", "composability", "padding_mode", "channel_order")

Forward = Callable[[BottleneckNet, Tensor], Tensor]


@dataclass
class PreparedNetworks:
    """Images and labels, and an LR-Net for each implementation, and the ResNet, of equal depth.

    Weights are float32, and 16-bit dtypes are autocast's; in float64 everything is. All begin with the same weights.
    """

    problem: Problem
    depth: int
    device: torch.device
    errors: dict[tuple[str, bool, bool], Error] = field(default_factory=dict)
    _networks: dict[str, BottleneckNet] = field(default_factory=dict)
    _compiled: dict[tuple[str, str], Forward] = field(default_factory=dict)

    def __post_init__(self) -> None:
        generator = torch.Generator(self.device).manual_seed(self.depth)
        p, place = self.problem, self.device
        images = torch.randn((p.batch, p.channels, p.height, p.width), generator=generator, device=place)
        self.images: Tensor = images.to(self._dtype, memory_format=MEMORY_FORMATS[p.memory_format])
        self.labels: Tensor = torch.randint(0, CLASSES, (p.batch,), generator=generator, device=place)
        # The first and the last image.
        self._checked = torch.tensor(sorted({0, p.batch - 1}), device=self.device)
        anew = torch.randn((len(self._checked), *self.images.shape[1:]), generator=generator, device=place)
        self._images_anew: Tensor = anew.to(self._dtype)
        self._images_before: Tensor | None = None
        self._fingerprints = Fingerprints.of({"images": self.images, "labels": self.labels})

    @cached_property
    def expected(self) -> Expected:
        """The checked images' logits, and their loss's gradients by kind of weight, in float64."""
        return self._expect(self.images[self._checked])

    @cached_property
    def _expected_anew(self) -> Expected:
        """The same of the images that are drawn anew."""
        return self._expect(self._images_anew)

    def _expect(self, images: Tensor) -> Expected:
        network = self._drawn("unfold").double().eval()
        out = network(images.double())
        loss = cross_entropy(out, self.labels[self._checked])
        return Expected(out.detach(), self._gradients(network, loss))

    def inputs(self, case: Case) -> Iterable[Tensor]:
        """Images, labels, and the weights and averages of the case's network."""
        return [self.images, self.labels, *self._network(case.implementation).state_dict().values()]

    def timed(self, case: Case) -> Call:
        """Inference, or a step of training (plain gradient descent) that leaves no gradients behind."""
        return self._training(case) if case.backward else self._inference(case)

    def parts(self, _: Case) -> dict[str, Call]:
        """None: a network is timed as a whole."""
        return {}

    def error(self, case: Case) -> Error:
        """Compare the logits and, where gradients are taken, these with float64.

        The gradients are taken in evaluation, from the first and last image's loss: images do not mix then, and in
        training float32 itself may be far off, where few values are normalised. With `torch_compile` this compiles once
        more.
        """
        network = self._network(case.implementation)
        network.load_state_dict(self._start)
        if not case.backward:
            return self._of_logits(self.checked(case, self._inference(case)()), self.expected)
        return self._of_training(case, self.expected)

    def changed(self) -> str | None:
        """Whether images or labels are not what they were; weights change in training."""
        return self._fingerprints.changed()

    def renew(self, case: Case) -> None:
        """Other images in the places of the first and the last, and the weights of the start."""
        self._network(case.implementation).load_state_dict(self._start)
        self._images_before = self.images[self._checked]
        self.images.index_copy_(0, self._checked, self._images_anew)

    def restore(self) -> None:
        """The images as they were drawn."""
        if self._images_before is not None:
            self.images.index_copy_(0, self._checked, self._images_before)
            self._images_before = None

    def checked(self, case: Case, returned: object) -> Tensors:
        """The logits of the first and the last image; nothing of a training step, which returns nothing."""
        if case.backward:
            return {}
        out: Tensor = returned  # type: ignore[assignment]
        return {"": out.detach()[self._checked]}

    def judge(self, case: Case, copies: Tensors) -> Error:
        """The copied logits' error; of training, that of logits and gradients taken once more, as before timing."""
        if not case.backward:
            return self._of_logits(copies, self._expected_anew)
        self._network(case.implementation).load_state_dict(self._start)
        return self._of_training(case, self._expected_anew)

    def _of_training(self, case: Case, expected: Expected) -> Error:
        """The error of logits or of gradients, whichever is larger beside what it may be."""
        network = self._network(case.implementation).eval()
        out = self._logits(network, self._run(case))
        loss = cross_entropy(out.to(self._dtype)[self._checked], self.labels[self._checked])
        found = largest_error(self._gradients(network, loss), expected.grads)
        errors = (
            self._of_logits({"": out.detach()[self._checked]}, expected),
            Error(found, GRADIENT_TOLERANCES[self.problem.dtype]),
        )
        return max(errors, key=lambda error: math.inf if math.isnan(error.value) else error.value / error.tolerance)

    def _inference(self, case: Case) -> Callable[[], Tensor]:
        network, run = self._network(case.implementation).eval(), self._run(case)

        def infer() -> Tensor:
            with torch.no_grad():
                return self._logits(network, run)

        return infer

    def _training(self, case: Case) -> Callable[[], None]:
        network, run = self._network(case.implementation).train(), self._run(case)
        optimizer = torch.optim.SGD(network.parameters(), _LEARNING_RATE / self._scale)
        scale = torch.tensor(self._scale, dtype=self._dtype, device=self.device)

        def step() -> None:
            loss = cross_entropy(self._logits(network, run).to(self._dtype), self.labels)
            loss.backward(scale)
            optimizer.step()
            optimizer.zero_grad()

        return step

    @property
    def _dtype(self) -> torch.dtype:
        """Of images and weights."""
        return torch.float64 if self.problem.dtype == "float64" else torch.float32

    @property
    def _scale(self) -> float:
        return _LOSS_SCALE.get(self.problem.dtype, 1.0)

    @cached_property
    def _start(self) -> dict[str, Tensor]:
        """What every LR-Net begins with."""
        return self._drawn("unfold").state_dict()

    def _network(self, implementation: str) -> BottleneckNet:
        if implementation not in self._networks:
            self._networks[implementation] = self._drawn(implementation)
        return self._networks[implementation]

    def _drawn(self, implementation: str) -> BottleneckNet:
        """A network with the weights that its seed gives, except where those would hide what blocks compute."""
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(self.depth)
            if implementation == "resnet":
                network = convolution_network(self.problem, self.depth, self.device)
            else:
                network = relation_network(self.problem, self.depth, implementation, self.device)
        for name, module in network.named_modules():
            if name.endswith("expand_norm"):
                # Not 0, which hides what a block computes, and small, so that activations do not grow with the depth.
                nn.init.constant_(module.weight, _BLOCK_WEIGHT)
        nn.init.zeros_(network.classifier.bias)
        return network.to(self._dtype, memory_format=MEMORY_FORMATS[self.problem.memory_format])  # type: ignore[call-overload, no-any-return]

    def _run(self, case: Case) -> Forward:
        """How the network is called: as it is, or by torch.compile, once for inference and once for training."""
        if not case.torch_compile:
            return _plain
        key = (case.implementation, case.mode)
        if key not in self._compiled:
            # torch.compile counts recompilations per code object and gives up after a few, so each use has its own.
            own = types.FunctionType(_plain.__code__.replace(), _plain.__globals__, _plain.__name__)
            self._compiled[key] = torch.compile(own, fullgraph=True, dynamic=False)
        return self._compiled[key]

    def _logits(self, network: BottleneckNet, run: Forward) -> Tensor:
        name = self.problem.dtype
        with torch.autocast(self.device.type, getattr(torch, name), enabled=name in _AUTOCAST):
            return run(network, self.images)

    def _gradients(self, network: BottleneckNet, loss: Tensor) -> Tensors:
        """The gradients of a loss in float64, those of a kind of weight, as every block's key, as one tensor."""
        names, weights = zip(*network.named_parameters(), strict=True)
        scale = torch.tensor(self._scale, dtype=loss.dtype, device=self.device)
        kinds: dict[str, list[Tensor]] = {}
        for name, grad in zip(names, torch.autograd.grad(loss, weights, scale), strict=True):
            kinds.setdefault(re.sub(r"\d+", "#", name), []).append(grad.double().flatten() / self._scale)
        return {kind: torch.cat(grads) for kind, grads in kinds.items()}

    def _of_logits(self, found: Tensors, expected: Expected) -> Error:
        return Error(largest_error(found, {"": expected.out}), TOLERANCES[self.problem.dtype])


def relation_network(problem: Problem, depth: int, implementation: str, device: torch.device | str) -> BottleneckNet:
    """LR-Net of a depth by an implementation, for a problem's channels, with its options in every layer."""
    options: dict[str, Any] = {name: getattr(problem, name) for name in _OPTIONS}
    prior = "network" if problem.prior else "none"
    return lr_net(
        depth, in_channels=problem.channels, device=device, prior=prior, implementation=implementation, **options
    )


def convolution_network(problem: Problem, depth: int, device: torch.device | str) -> BottleneckNet:
    """ResNet of a depth for a problem's channels."""
    return resnet(depth, in_channels=problem.channels, device=device)


def _plain(network: BottleneckNet, images: Tensor) -> Tensor:
    return network(images)  # type: ignore[no-any-return]
