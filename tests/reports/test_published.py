"""The page on the published runs."""

import re
from pathlib import Path

from tests.support.report_pages import command
from tests.support.report_rows import ENVIRONMENT, MakeRun, case, failed

PUBLISHED = Path("reports", "published")


HOSTILE = "<script>window.harmed = true</script>"


def test_index_tells_of_every_run(make_run: MakeRun) -> None:
    old = make_run(
        [case(1.0), case(0.5, implementation=HOSTILE), failed("error", "no", m=1)],
        "first run",
        {**ENVIRONMENT, "started": "2025-01-02T03:04:05+00:00"},
    )
    make_run([case(1.0, device="NVIDIA H200")], "second", {**ENVIRONMENT, "started": "2026-01-02T03:04:05+00:00"})
    make_run([], "third", {})
    (old / "report").mkdir()
    (old / "report" / "index.html").touch()
    code, printed, _ = command("--index", old.parent)
    assert (code, printed.split()) == (0, ["index", str(old.parent / "index.html")])
    page = (old.parent / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<h2 .*>(.*)</h2>", page) == ["cpu", "no device", "NVIDIA H200"]
    assert re.findall(r"<h3 .*>(.*)</h3>", page) == ["first run", "third", "second"]
    links = re.findall(r'href="([^"#:]*)"', page)
    assert links == [
        *(f"first%20run/{name}" for name in ("report/index.html", "results.csv", "environment.json")),
        *(f"third/{name}" for name in ("results.csv", "environment.json")),
        *(f"second/{name}" for name in ("results.csv", "environment.json")),
    ]
    for text in ("NVIDIA H200", "2 ok, 1 error", "torch 2.13.0", "<code>python -m bench run axes</code>", "2025-01-02"):
        assert text in page
    assert HOSTILE not in page
    assert "&lt;script&gt;window" in page


def test_published_pages_name_no_folder_of_the_machine_they_were_made_on() -> None:
    for page in (*PUBLISHED.glob("*/report/index.html"), *PUBLISHED.glob("*/report/report.md")):
        run = page.parent.parent.as_posix()
        assert f"python -m reports {run} --figure opening" in page.read_text(encoding="utf-8") or page.suffix == ".md"
        assert not re.search(r"python -m \w+ /", page.read_text(encoding="utf-8"))


def test_index_of_the_published_runs_names_them_all() -> None:
    page = (PUBLISHED / "index.html").read_text(encoding="utf-8")
    runs = {path.parent.name for path in PUBLISHED.glob("*/environment.json")}
    assert set(re.findall(r"<h3 .*>(.*)</h3>", page)) == runs, (
        "make it again: python -m reports --index reports/published"
    )
    links = re.findall(r'href="([^"#:]*)"', page)
    assert [link for link in links if not (PUBLISHED / link).is_file()] == []
