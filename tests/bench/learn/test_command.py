"""`python -m bench learn`: its folder, its limits, and going on after whatever stopped it."""

import csv
import json
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest

pytest.importorskip("sklearn")

from bench.learn.folder import COLUMNS
from bench.learn.training import Recipe
from bench.learn.variants import DEFAULT, Variant, chosen
from tests.support.in_process import Invoke


class Pool:
    """A pool that trains nothing: what comes out is planted, and a training takes ten seconds of a clock of its own."""

    def __init__(self) -> None:
        self.clock = 0.0
        self.planted: dict[str, Exception] = {}
        self.submitted: list[tuple[str, int]] = []

    def __call__(self, *_: object) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, _: object, variant: Variant, seed: int, *__: object) -> Future[dict[str, Any]]:
        self.submitted.append((variant.name, seed))
        self.clock += 10.0
        future: Future[dict[str, Any]] = Future()
        if variant.name in self.planted:
            future.set_exception(self.planted[variant.name])
        else:
            outcome = {"correct": 570 + seed, "held_out": 599, "accuracy": (570 + seed) / 599, "loss": 0.1}
            future.set_result({**outcome, "train_accuracy": 1.0, "parameters": 9, "seconds": 10.0})
        return future


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    made = Pool()
    monkeypatch.setattr("bench.learn.command.ProcessPoolExecutor", made)
    monkeypatch.setattr("bench.learn.command._cores", lambda: 1)
    monkeypatch.setattr("bench.learn.command.time", SimpleNamespace(monotonic=lambda: made.clock))
    return made


def rows(folder: str | Path) -> list[dict[str, str]]:
    with (Path(folder) / "learning.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_a_row_for_each_training_and_its_environment(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.learn.command.Recipe", partial(Recipe, epochs=1))
    code, out, _ = invoke("learn", "--out", "run", "--seeds", "1", "--variants", "convolution-k3", "--minutes", "5")
    assert code == 0
    assert out.endswith("1 trainings are in run\ntheir page: python -m reports run\n")
    [row] = rows("run")
    assert tuple(row) == COLUMNS
    assert (row["variant"], row["seed"], row["status"], row["prior"]) == ("convolution-k3", "0", "ok", "")
    assert float(row["accuracy"]) == int(row["correct"]) / int(row["held_out"])
    environment = json.loads(Path("run/environment.json").read_text())
    assert environment["versions"]["scikit-learn"]
    assert environment["learning"]["variants"] == ["convolution-k3"]
    assert environment["learning"]["seeds"] == 1
    assert environment["learning"]["recipe"]["epochs"] == 1


def test_every_variant_is_trained_from_a_seed_before_the_next_seed(invoke: Invoke, pool: Pool) -> None:
    code, *_ = invoke("learn", "--out", "run", "--seeds", "2", "--minutes", "30")
    names = [variant.name for variant in chosen(DEFAULT)]
    assert code == 0
    assert pool.submitted == [(name, seed) for seed in (0, 1) for name in names]
    assert [(row["variant"], int(row["seed"])) for row in rows("run")] == pool.submitted


@pytest.mark.usefixtures("pool")
def test_no_training_is_started_that_would_end_after_the_time(invoke: Invoke) -> None:
    code, out, err = invoke("learn", "--out", "run", "--minutes", "1", "--variants", "relation-k7*")
    # One minute less 20 s for the page: four trainings of 10 s end in time.
    assert code == 0
    assert len(rows("run")) == 4
    assert "the time is over: 44 trainings are left out" in err
    assert json.loads(Path("run/environment.json").read_text())["learning"]["seeds"] == 8
    assert out.count("relation-k7") == 4


def test_a_run_goes_on_where_it_stopped(invoke: Invoke, pool: Pool) -> None:
    arguments = ("learn", "--out", "run", "--quick", "--seeds", "2")
    assert invoke(*arguments, "--minutes", "0.9")[0] == 0
    done = len(rows("run"))
    assert 0 < done < 8
    assert invoke(*arguments)[0] == 2
    code, *_ = invoke(*arguments, "--resume")
    assert code == 0
    assert json.loads(Path("run/environment.json").read_text())["learning"]["calls"] == 2
    assert len(pool.submitted) == len(set(pool.submitted)) == len(rows("run")) == 8


def test_a_training_that_fails_leaves_its_reason_and_is_tried_again(invoke: Invoke, pool: Pool) -> None:
    pool.planted["relation-k3"] = RuntimeError("no luck")
    arguments = ("learn", "--out", "run", "--variants", "relation-k3,convolution-k3", "--seeds", "1", "--resume")
    code, out, _ = invoke(*arguments)
    assert code == 1
    assert "relation-k3 seed 0  RuntimeError: no luck" in out
    assert [(row["status"], row["reason"]) for row in rows("run")] == [("ok", ""), ("error", "RuntimeError: no luck")]
    pool.planted.clear()
    assert invoke(*arguments)[0] == 0
    assert [row["status"] for row in rows("run")] == ["ok", "ok"]


def test_a_process_that_dies_ends_the_run_with_the_rows_so_far(invoke: Invoke, pool: Pool) -> None:
    pool.planted["relation-k3"] = BrokenProcessPool()
    code, _, err = invoke("learn", "--out", "run", "--variants", "relation-k3,convolution-k3", "--seeds", "1")
    assert code == 2
    assert "a process died while relation-k3 was trained from seed 0; --resume goes on" in err
    assert [row["variant"] for row in rows("run")] == ["convolution-k3"]


def test_a_run_of_another_recipe_is_not_gone_on_with(invoke: Invoke, pool: Pool) -> None:
    arguments = ("learn", "--out", "run", "--variants", "relation-k3", "--seeds", "1", "--resume")
    assert invoke(*arguments)[0] == 0
    code, _, err = invoke(*arguments, "--implementation", "chunked")
    assert code == 2
    assert "run was trained with implementation 'unfold', this is 'chunked'" in err
    assert pool.submitted == [("relation-k3", 0)]


REFUSED = {
    "a variant": (["--variants", "relation-k4"], "no variant is called 'relation-k4'"),
    "an implementation": (["--implementation", "magic"], "no implementation is called 'magic'"),
    "one without gradients": (["--implementation", "flex"], "flex cannot train here: "),
}


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_is_refused_before_any_work(invoke: Invoke, arguments: list[str], message: str) -> None:
    code, _, err = invoke("learn", "--out", "run", *arguments)
    assert code == 2
    assert message in err
    assert not Path("run/learning.csv").exists()
