"""`python -m bench table`: what it prints in each format, and what it refuses."""

import csv
from io import StringIO
from pathlib import Path

import pytest

from tests.support.in_process import Invoke

# Stage, output, and for each network layers, parameters, multiply–adds: paper.md's table with ours in it.
STAGES = ["res1", "res2", "res3", "res4", "res5", "classes"]
OUTPUTS = ["112×112", "56×56", "28×28", "14×14", "7×7", "1×1"]


def markdown_rows(text: str) -> list[list[str]]:
    """The cells of each line of a Markdown table, below its head."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in lines[2:]]


def test_the_articles_table(invoke: Invoke) -> None:
    code, out, error = invoke("table", "--format", "markdown")
    assert (code, error) == (0, "")
    rows = markdown_rows(out)
    assert [row[0] for row in rows[:6]] == STAGES
    assert [row[1] for row in rows[:6]] == OUTPUTS
    layers = [row[2].split("<br>") for row in rows[:6]], [row[5].split("<br>") for row in rows[:6]]
    assert layers[0] == [
        ["1×1, 64", "7×7 LR, 64, s2"],
        ["3×3 max pool, s2", "3 blocks:", "1×1, 100", "7×7 LR, 100", "1×1, 256"],
        ["4 blocks:", "1×1, 200", "7×7 LR, 200", "1×1, 512"],
        ["6 blocks:", "1×1, 400", "7×7 LR, 400", "1×1, 1024"],
        ["3 blocks:", "1×1, 800", "7×7 LR, 800", "1×1, 2048"],
        ["average pool", "1000-d fc"],
    ]
    assert layers[1][0] == ["7×7 conv, 64, s2"]
    assert layers[1][4] == ["3 blocks:", "1×1, 512", "3×3 conv, 512", "1×1, 2048"]
    total, article, against, torchvision, _ = rows[6:]
    assert total == ["total", "", "", "23.372 M", "4.031 G", "", "25.557 M", "4.089 G"]
    assert article == ["article", "", "", "23.3 M", "4.3 G", "", "25.5 M", "4.3 G"]
    assert against == ["ours against it", "", "", "+0.3%", "-6.3%", "", "+0.2%", "-4.9%"]
    assert torchvision == ["torchvision", "", "", "", "", "", "25.557 M", "4.089 G"]
    assert "they include something that is not counted here" in out


def test_the_terminal_shows_the_same_numbers(invoke: Invoke) -> None:
    _, page, _ = invoke("table", "lr_net_26", "resnet_101", "--format", "markdown")
    code, out, error = invoke("table", "lr_net_26", "resnet_101")
    assert (code, error) == (0, "")
    for row in markdown_rows(page):
        for cell in row:
            assert all(line in out for line in cell.split("<br>"))
    words = {line.split("  ")[0] for line in out.splitlines()}
    assert {*STAGES, "total", "Papers with Code", "torchvision", "ours against it"} <= words


def test_csv_adds_up(invoke: Invoke) -> None:
    code, out, error = invoke("table", "resnet_26", "lr_net_101", "--format", "csv")
    assert (code, error) == (0, "")
    rows = list(csv.DictReader(StringIO(out)))
    for network in ("resnet_26", "lr_net_101"):
        own = [row for row in rows if row["network"] == network]
        assert [row["row"] for row in own] == [*STAGES, "total"]
        for column in ("parameters", "macs"):
            numbers = [int(row[column]) for row in own]
            assert sum(numbers[:-1]) == numbers[-1]
    assert rows[3]["layers"] == "1×1, 256; 3×3 conv, 256; 1×1, 1024"
    assert (rows[3]["blocks"], rows[3]["height"], rows[3]["width"]) == ("2", "14", "14")


def test_published_rows_of_the_csv(invoke: Invoke) -> None:
    _, out, _ = invoke("table", "lr_net_50", "lr_net_26", "--format", "csv")
    (row,) = [row for row in csv.DictReader(StringIO(out)) if row["row"] == "published: article"]
    assert (row["network"], row["parameters"], row["macs"]) == ("lr_net_50", "23300000", "4300000000")
    assert float(row["macs_off"]) == pytest.approx(4.031 / 4.3 - 1, abs=1e-4)


def test_options_reach_the_layer_and_drop_what_was_published(invoke: Invoke) -> None:
    code, out, _ = invoke("table", "-k", "3", "-m", "1", "--size", "64", "--in-channels", "1", "--classes", "10")
    assert code == 0
    assert "3×3 LR, 100" in out
    assert "10-d fc" in out
    assert "64×64 pixels, 1 channels, 10 classes" in out
    assert "article" not in out
    assert "left out here" in out


def test_a_network_without_published_figures(invoke: Invoke) -> None:
    _, out, _ = invoke("table", "resnet_26", "resnet_26")
    assert out.count("No published figures of resnet_26 are known.") == 1


def test_a_file(invoke: Invoke, tmp_path: Path) -> None:
    code, out, _ = invoke("table", "--format", "csv", "--out", "table.csv")
    assert (code, out) == (0, "the table is in table.csv\n")
    assert (tmp_path / "table.csv").read_text(encoding="utf-8") == invoke("table", "--format", "csv")[1]


REFUSED = {
    "network": (["lr_net_34"], "there is no network 'lr_net_34': expected lr_net_26, "),
    "second network": (["lr_net_26", "resnet"], "there is no network 'resnet'"),
    "small": (["--size", "31"], "must be at least 32, got 31"),
    "even window": (["-k", "4"], "kernel_size must be odd, got 4"),
    "prior": (["--prior", "yes"], "got 'yes'"),
    "file": (["--out", "missing/table"], "cannot write missing/table: "),
}


def test_a_format_that_is_none_is_refused(invoke: Invoke) -> None:
    code, out, error = invoke("table", "--format", "json")
    assert (code, out) == (2, "")
    assert "'json' is not one of 'text', 'markdown', 'csv'" in error


@pytest.mark.parametrize(("arguments", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_makes_no_sense_is_refused(invoke: Invoke, tmp_path: Path, arguments: list[str], said: str) -> None:
    code, out, error = invoke("table", *arguments)
    assert (code, out) == (2, "")
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert said in error
    assert list(tmp_path.iterdir()) == []
