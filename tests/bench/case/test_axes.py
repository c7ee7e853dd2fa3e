"""How the values of an axis are written, and what is said of those that are not."""

import pytest

from bench.case.axes import ALIASES, AXES, Value, parse_axis
from bench.case.case import make_case
from bench.case.sweeps import SWEEPS, expand
from bench.errors import UsageError
from kernels import Problem


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("k=3", "kernel_size", (3,)),
        ("kernel_size=3,5,7", "kernel_size", (3, 5, 7)),
        ("N=4", "batch", (4,)),
        ("C=64", "channels", (64,)),
        ("H=7", "height", (7,)),
        ("W=7", "width", (7,)),
        ("s=1,2", "stride", (1, 2)),
        ("d=2", "dilation", (2,)),
        ("m=8", "m", (8,)),
        ("hw=28,14", "hw", (28, 14)),
        ("padding=same,0", "padding", ("same", 0)),
        ("prior=true,False", "prior", (True, False)),
        ("dtype=float32,bfloat16", "dtype", ("float32", "bfloat16")),
        ("memory_format=channels_last", "memory_format", ("channels_last",)),
        ("composability=squared_difference", "composability", ("squared_difference",)),
        ("padding_mode=zeros", "padding_mode", ("zeros",)),
        ("channel_order=strided", "channel_order", ("strided",)),
        ("scope=layer,operator", "scope", ("layer", "operator")),
        ("mode=backward", "mode", ("backward",)),
        ("cache=cold,hot", "cache", ("cold", "hot")),
    ],
)
def test_values_are_read(text: str, name: str, values: tuple[Value, ...]) -> None:
    read = parse_axis(text)
    assert read == (name, values)
    assert [type(value) for value in read[1]] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("k", "'k'"),
        ("k=", "'k='"),
        ("", "''"),
        ("kernel=3", "'kernel'"),
        ("K=3", "'K'"),
        ("=3", "''"),
        ("k=three", "'three'"),
        ("k=3.5", "'3.5'"),
        ("k=3,,5", "''"),
        ("k=3,5x", "'5x'"),
        ("hw=same", "'same'"),
        ("padding=valid", "'valid'"),
        ("prior=yes", "'yes'"),
        ("dtype=fp16", "'fp16'"),
        ("mode=forwards", "'forwards'"),
        ("scope=model", "'model'"),
        ("cache=warm", "'warm'"),
        ("composability=division", "'division'"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=r"got|there is no axis") as caught:
        parse_axis(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_means_its_axis(alias: str) -> None:
    assert parse_axis(f"{alias}=5") == parse_axis(f"{ALIASES[alias]}=5")
    assert alias not in AXES


def test_the_message_lists_what_there_is() -> None:
    with pytest.raises(UsageError) as of_axis:
        parse_axis("colour=1")
    assert all(name in str(of_axis.value) for name in (*AXES, *ALIASES))
    with pytest.raises(UsageError) as of_value:
        parse_axis("dtype=int8")
    assert all(name in str(of_value.value) for name in ("dtype", "float32", "float16", "bfloat16", "float64"))


def test_axes_set_every_field_of_a_case() -> None:
    fields = {field for axis in AXES.values() for field in axis.fields}
    assert fields == {*Problem.__dataclass_fields__, "scope", "mode", "cache", "depth", "torch_compile"}


@pytest.mark.parametrize("name", AXES)
def test_every_axis_reaches_the_case(name: str) -> None:
    texts = {"padding": "0", "prior": "false", "hw": "9", "kernel_size": "3", "dilation": "2", "m": "3"}
    _, values = parse_axis(f"{name}={texts.get(name) or AXES[name].values.split(' | ')[-1].replace('integer', '17')}")
    sweep = "networks" if name in {"scope", "mode", "depth", "torch_compile"} else "quick"
    (one, *_others) = expand(SWEEPS[sweep], {name: values}, ["unfold"])
    assert {one.parameters()[field] for field in AXES[name].fields} == set(values)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kernel_size": 4}, "odd kernel_size, got 4"),
        ({"kernel_size": 29, "padding": 0, "hw": 4}, "window of 29×29"),
        ({"padding": 4}, "got 4"),
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"kernel_size": -3}, "kernel_size must be at least 1, got -3"),
        ({"channels": 0}, "channels must be at least 1, got 0"),
    ],
)
def test_contradictions_are_the_users(changes: dict[str, Value], said: str) -> None:
    overrides = {name: (value,) for name, value in changes.items()}
    with pytest.raises(UsageError) as caught:
        expand(SWEEPS["quick"], overrides, ["unfold"])
    assert said in str(caught.value)


def test_a_case_resolves_its_padding() -> None:
    (one, *_others) = expand(SWEEPS["quick"], {"kernel_size": (5,), "dilation": (2,)}, ["unfold"])
    assert one.problem.padding == 4
    named = one.parameters().items()
    values: dict[str, Value] = {name: value for name, value in named if name not in ("implementation", "kind")}
    assert make_case({**values, "padding": "same"}, "unfold") == one
    assert make_case({**values, "padding": 1}, "unfold").problem.padding == 1
