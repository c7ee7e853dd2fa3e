"""What the geometric prior keeps between evaluations: never stale, whatever changes the weights."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.autograd import forward_ad

from kernels import GeometricPrior

# torch.func and forward mode make torch use what it deprecates itself.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


def step(prior: GeometricPrior) -> None:
    optimizer = torch.optim.SGD(prior.parameters(), 0.1)
    for parameter in prior.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()


def load(prior: GeometricPrior) -> None:
    torch.manual_seed(7)
    prior.load_state_dict(GeometricPrior(8, 3).state_dict())


def assign(prior: GeometricPrior) -> None:
    prior.load_state_dict({name: tensor + 1 for name, tensor in prior.state_dict().items()}, assign=True)


def update(prior: GeometricPrior) -> None:
    with torch.no_grad():
        prior.project.weight.add_(1)


def set_data(prior: GeometricPrior) -> None:
    prior.project.weight.data = prior.project.weight.data + 1


def replace_parameter(prior: GeometricPrior) -> None:
    prior.project.weight = torch.nn.Parameter(prior.project.weight.detach() + 1)


def move_grid(prior: GeometricPrior) -> None:
    prior.position.mul_(2)


def to_float64(prior: GeometricPrior) -> None:
    prior.double()


def train_and_back(prior: GeometricPrior) -> None:
    prior.train()
    step(prior)
    prior.eval()


def fused_step(prior: GeometricPrior) -> None:
    """Fused optimizers write without counting it in the parameter's version."""
    for parameter in prior.parameters():
        parameter.grad = torch.ones_like(parameter)
    torch.optim.AdamW(prior.parameters(), 0.1, fused=True).step()


def write_data(prior: GeometricPrior) -> None:
    prior.project.weight.data.mul_(2)


def set_data_until_memory_is_reused(prior: GeometricPrior) -> None:
    for _ in range(4):
        prior.project.weight.data = prior.project.weight.data + 1


def write_in_inference_mode(prior: GeometricPrior) -> None:
    with torch.inference_mode():
        prior.project.weight.mul_(2)


def swap_tensors(prior: GeometricPrior) -> None:
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        assign(prior)
        prior.double()
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)


def replace_convolution(prior: GeometricPrior) -> None:
    torch.manual_seed(7)
    prior.project = torch.nn.Conv2d(prior.project.in_channels, prior.project.out_channels, 1, bias=False)


CHANGES = (
    step,
    fused_step,
    load,
    assign,
    update,
    write_data,
    write_in_inference_mode,
    set_data,
    set_data_until_memory_is_reused,
    replace_parameter,
    replace_convolution,
    swap_tensors,
    move_grid,
    to_float64,
    train_and_back,
)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_kept_prior_is_never_stale(change: Callable[[GeometricPrior], None], mode: Callable[[], torch.no_grad]) -> None:
    torch.manual_seed(0)
    prior = GeometricPrior(8, 3).eval()
    with mode():
        before = prior()
    change(prior)
    with mode():
        after = prior()
    with torch.enable_grad():
        fresh: Tensor = prior().detach()
    torch.testing.assert_close(after, fresh, rtol=0, atol=0)
    assert not torch.equal(after.double(), before.double())


def test_buffers_of_a_parametrization_count() -> None:
    torch.manual_seed(0)
    prior = GeometricPrior(8, 3)
    torch.nn.utils.parametrizations.spectral_norm(prior.project)
    prior.eval()
    with torch.no_grad():
        before = prior()
        prior.get_buffer("project.parametrizations.weight.0._u").copy_(torch.eye(8)[0])
        after = prior()
    assert torch.equal(after, prior())
    assert not torch.equal(after, before)


def evaluations(prior: GeometricPrior, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Grows by one whenever the network is evaluated."""
    counted: list[None] = []
    evaluate = prior._evaluate
    monkeypatch.setattr(prior, "_evaluate", lambda: counted.append(None) or evaluate())  # type: ignore[func-returns-value]
    return counted


def test_evaluation_keeps_the_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    prior = GeometricPrior(8, 3).eval()
    counted = evaluations(prior, monkeypatch)
    with torch.no_grad():
        prior(), prior()
        with torch.inference_mode():
            prior()
    assert len(counted) == 1
    prior(), prior()
    assert len(counted) == 3
    prior.train()
    with torch.no_grad():
        prior(), prior()
    assert len(counted) == 5


def test_what_is_kept_is_out_of_reach() -> None:
    """A caller may write into what it got."""
    prior = GeometricPrior(8, 3).eval()
    with torch.no_grad():
        expected = prior().clone()
        prior().mul_(2)
        assert torch.equal(prior(), expected)


def test_weights_in_a_batch_of_networks() -> None:
    """torch.func evaluates several networks at once; nothing of it is kept."""
    priors = [GeometricPrior(8, 3).eval() for _ in range(3)]
    with torch.no_grad():
        expected = torch.stack([prior() for prior in priors])
        stacked = torch.func.stack_module_state(priors)
        outputs = torch.func.vmap(lambda *state: torch.func.functional_call(priors[0], state, ()))(*stacked)
        torch.testing.assert_close(outputs, expected)
        assert torch.equal(priors[0](), expected[0])


def test_weights_with_a_tangent() -> None:
    """Weights of the same numbers, but with a derivative to carry on."""
    prior = GeometricPrior(8, 3).eval()
    with torch.no_grad(), forward_ad.dual_level():
        plain = prior()
        duals = {name: forward_ad.make_dual(x, x) for name, x in prior.named_parameters() if name != "expand.bias"}
        tangent = forward_ad.unpack_dual(torch.func.functional_call(prior, duals, ())).tangent
    assert tangent is not None
    assert not torch.equal(tangent, torch.zeros_like(plain))


def test_tensors_without_numbers_are_not_kept() -> None:
    prior = GeometricPrior(8, 3).eval()
    with torch.no_grad():
        with FakeTensorMode(allow_non_fake_inputs=True):
            assert isinstance(prior(), FakeTensor)
        expected = prior()
        with FakeTensorMode(allow_non_fake_inputs=True):
            assert isinstance(prior(), FakeTensor)
        assert type(expected) is Tensor
        assert torch.equal(prior(), expected)
        assert prior.to("meta")().is_meta


@pytest.mark.gpu
def test_a_captured_graph_follows_the_weights() -> None:
    """Replayed after an update, a CUDA graph of an evaluation gives the new weights' prior."""
    prior = GeometricPrior(8, 3, device="cuda").eval()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.no_grad():
        with torch.cuda.stream(side):
            prior()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            captured = prior()
        prior.project.weight.mul_(2)
        graph.replay()
        torch.testing.assert_close(captured, prior())


@pytest.mark.gpu
@pytest.mark.parametrize("change", [fused_step, write_data])
def test_a_prior_on_a_gpu_is_never_stale(change: Callable[[GeometricPrior], None]) -> None:
    prior = GeometricPrior(8, 3, device="cuda").eval()
    with torch.no_grad():
        before = prior()
        change(prior)
        after = prior()
    assert torch.equal(after, prior())
    assert not torch.equal(after, before)


def test_a_prior_kept_in_inference_mode_serves_training() -> None:
    """What was kept there is no use to autograd; gradients come from a fresh one."""
    prior = GeometricPrior(8, 3).eval()
    with torch.inference_mode():
        prior()
    with torch.no_grad():
        kept = prior()
    (kept * torch.ones(8, 3, 3, requires_grad=True)).sum().backward()
    prior().sum().backward()
    assert prior.project.weight.grad is not None
