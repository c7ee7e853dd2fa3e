"""The layer in a user's hands: saved, averaged, distributed, compiled, exported, and its prior never stale."""

import copy
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.func import functional_call
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.checkpoint import checkpoint

from kernels import LocalRelation2d, replace_spatial_convs
from tests.support.cases import DEVICE

pytestmark = pytest.mark.compiles

Change = Callable[[nn.Module], nn.Module]
every_prior = pytest.mark.parametrize("prior", ["network", "table", "none"])


def network(seed: int = 0, prior: str = "network") -> nn.Module:
    """A convolution, a layer in another's place, and a head, in evaluation mode."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 2, 1))
    replace_spatial_convs(model, 3, m=4, prior=prior, implementation="unfold")
    if prior == "table":
        nn.init.normal_(model.get_parameter("1.prior.table"))
    return model.to(DEVICE).eval()


def image(batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, 6, 5, generator=torch.Generator().manual_seed(batch)).to(DEVICE)


def evaluate(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """What an evaluation gives, which may keep the prior."""
    with torch.no_grad():
        return model(x)


def fresh(model: nn.Module, x: Tensor) -> Tensor:
    """What it should give: with gradients, nothing is kept."""
    return model(x).detach()  # type: ignore[no-any-return]


def learn(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> nn.Module:
    """A step of an optimizer."""
    optimizer = torch.optim.SGD(model.parameters(), 0.1) if optimizer is None else optimizer
    optimizer.zero_grad()
    model(image()).square().mean().backward()
    optimizer.step()
    return model


def learn_fused(model: nn.Module) -> nn.Module:
    return learn(model, torch.optim.AdamW(model.parameters(), 0.1, fused=True))


def learn_in_training_mode(model: nn.Module) -> nn.Module:
    return learn(model.train()).eval()


def copy_in_place(model: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter * 2)
    return model


def write_data(model: nn.Module) -> nn.Module:
    for parameter in model.parameters():
        parameter.data.mul_(0.9).add_(1)
    return model


def load(model: nn.Module) -> nn.Module:
    model.load_state_dict(network(1).state_dict())
    return model


def assign(model: nn.Module) -> nn.Module:
    model.load_state_dict(network(1).state_dict(), assign=True)
    return model


def cast(model: nn.Module) -> nn.Module:
    return model.to(torch.bfloat16).to(torch.float32)


def change_a_copy(model: nn.Module) -> nn.Module:
    return write_data(copy.deepcopy(model))


PLAIN_CHANGES = (learn, load, cast, change_a_copy)
CHANGES = (*PLAIN_CHANGES, learn_fused, learn_in_training_mode, copy_in_place, write_data, assign)


@pytest.mark.parametrize("change", CHANGES)
def test_an_evaluation_after_a_change_is_that_of_the_new_weights(change: Change) -> None:
    model, x = network(), image()
    before = evaluate(model, x)
    changed = change(model)
    after = evaluate(changed, x)
    torch.testing.assert_close(after, fresh(changed, x), rtol=0, atol=0)
    assert not torch.equal(after, before)


@pytest.mark.parametrize("change", PLAIN_CHANGES)
def test_a_compiled_evaluation_follows_the_weights(change: Change) -> None:
    model, x = network(), image()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(evaluate(compiled, x), evaluate(model, x))
    changed = change(model)
    again = compiled if changed is model else torch.compile(changed, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(evaluate(again, x), fresh(changed, x))


@every_prior
def test_training_and_evaluation_give_the_same(prior: str) -> None:
    model, x = network(prior=prior), image()
    expected = fresh(model.train(), x)
    for _ in range(2):
        assert torch.equal(evaluate(model.eval(), x), expected)
        with torch.inference_mode():
            assert torch.equal(model(x), expected)
        assert torch.equal(fresh(model.train(), x), expected)


@every_prior
@pytest.mark.parametrize("whole", [True, False], ids=["module", "state"])
def test_saved_and_loaded(prior: str, whole: bool) -> None:
    """The weights as torch.load takes them from strangers, or the module; what is kept stays behind."""
    model, x = network(prior=prior), image()
    file, smaller = io.BytesIO(), io.BytesIO()
    torch.save(model if whole else model.state_dict(), smaller)
    expected = evaluate(model, x)
    torch.save(model if whole else model.state_dict(), file)
    assert len(file.getvalue()) == len(smaller.getvalue())
    file.seek(0)
    loaded = torch.load(file, weights_only=not whole)
    other = loaded if whole else network(1, prior)
    if not whole:
        other.load_state_dict(loaded)
    assert torch.equal(evaluate(other, x), expected)


@pytest.mark.parametrize("average", ["torch", "by hand", "swa"])
def test_exponential_averaging(average: str) -> None:
    """The average of the weights, evaluated after each update, in evaluation mode throughout."""
    model, x, decay = network().double(), image().double(), 0.9
    averaging = {"multi_avg_fn": get_ema_multi_avg_fn(decay)} if average == "torch" else {}
    averaged = AveragedModel(model, use_buffers=True, **averaging)
    averaged.update_parameters(model)
    expected = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for step in range(1, 4):
        write_data(model)
        weight = 1 / (step + 1) if average == "swa" else 1 - decay
        for name, parameter in model.named_parameters():
            expected[name] += weight * (parameter.detach() - expected[name])
        if average == "by hand":
            for own, parameter in zip(averaged.module.parameters(), model.parameters(), strict=True):
                own.data.mul_(decay).add_(parameter.data, alpha=1 - decay)
        else:
            averaged.update_parameters(model)
        torch.testing.assert_close(evaluate(averaged, x), functional_call(model, expected, x).detach())


@pytest.fixture
def one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process group of this process alone."""
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("static", [True, False], ids=["static graph", "any graph"])
def test_distributed_data_parallel(static: bool) -> None:
    """The wrapped network learns as the bare one does, and is evaluated between its steps."""
    model, x = network(), image()
    wrapped = DistributedDataParallel(network(), static_graph=static)
    for _ in range(3):
        learn(model.train())
        learn(wrapped.train())
        torch.testing.assert_close(wrapped.module.state_dict(), model.state_dict())
        torch.testing.assert_close(evaluate(wrapped.eval(), x), evaluate(model.eval(), x))


def test_autocast_and_evaluation() -> None:
    """A prior kept outside autocast serves inside, and the other way round."""
    model, x = network(), image()

    def narrow(one: nn.Module) -> Tensor:
        with torch.autocast(DEVICE.type, torch.bfloat16):
            return evaluate(one, x)

    plain, cast_down = evaluate(copy.deepcopy(model), x), narrow(copy.deepcopy(model))
    assert cast_down.dtype == torch.bfloat16
    for _ in range(2):
        assert torch.equal(narrow(model), cast_down)
        assert torch.equal(evaluate(model, x), plain)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad])
def test_an_exported_program_has_the_weights_of_its_own(mode: Callable[[], Any]) -> None:
    """All of them, also where an evaluation has kept the prior before: another state loaded gives its output."""
    model, x = network(), image()
    evaluate(model, x)
    with mode():
        program = torch.export.export(model, (x,)).module()
    assert dict(program.named_parameters()).keys() == dict(model.named_parameters()).keys()
    torch.testing.assert_close(fresh(program, x), evaluate(model, x))
    program.load_state_dict(network(1).state_dict())
    torch.testing.assert_close(fresh(program, x), evaluate(network(1), x))


def test_checkpointing() -> None:
    """Recomputed in backward, the gradients are the same."""
    model, x = network(), image()
    expected = torch.autograd.grad(model(x).square().sum(), list(model.parameters()))
    output = checkpoint(model, x, use_reentrant=False)
    assert isinstance(output, Tensor)
    torch.testing.assert_close(torch.autograd.grad(output.square().sum(), list(model.parameters())), expected)


def test_several_layers_at_once() -> None:
    """torch.func runs an ensemble in evaluation mode; `unfold` is what it can transform."""
    layers = [LocalRelation2d(4, 3, m=2, implementation="unfold").to(DEVICE).eval() for _ in range(3)]
    x = torch.randn(2, 4, 5, 6, device=DEVICE)
    with torch.no_grad():
        state = torch.func.stack_module_state(layers)
        outputs = torch.func.vmap(lambda *one: functional_call(layers[0], one, x))(*state)
        torch.testing.assert_close(outputs, torch.stack([layer(x) for layer in layers]))
