"""A comparison as text, Markdown, CSV and JSON."""

import csv
import io
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ...errors import Exit
from ..columns import PARAMETERS
from ..reading import Key
from ..sheets import escaped, markdown_table, text_table
from .comparison import Comparison
from .verdicts import VERDICTS, Pair

OUTCOMES: Mapping[Exit, str] = {
    Exit.OK: "nothing is worse",
    Exit.FAILED: "regression confirmed",
    Exit.INCORRECT: "incorrect results",
    Exit.NO_EVIDENCE: "not enough evidence",
}
# How cases are named where they differ: a letter before the value, or the value alone.
SHORT = {"batch": "N", "channels": "C", "kernel_size": "k", "m": "m", "stride": "s", "padding": "p", "dilation": "d"}
_HEADER = ("verdict", "case", "A ms", "B ms", "B/A", "interval", "why")
# More lines than this hide what matters in a comment.
_MOST_LINES = 40


def as_text(comparison: Comparison) -> str:
    """The comparison for a terminal, every pair a line."""
    names = telling([pair.key for pair in comparison.pairs])
    table = text_table(_HEADER, [_row(pair, names) for pair in comparison.pairs])
    return "\n".join([table, "", *_summary(comparison)]) + "\n"


def as_markdown(comparison: Comparison) -> str:
    """The comparison for a pull request's comment: what changed first, what did not folded away."""
    names = telling([pair.key for pair in comparison.pairs])
    quiet = {"SAME", "NEITHER"}
    loud = [pair for pair in comparison.pairs if pair.verdict not in quiet]
    rest = [pair for pair in comparison.pairs if pair.verdict in quiet]
    shown, folded = loud[:_MOST_LINES], [*loud[_MOST_LINES:], *rest]
    title, *facts = _summary(comparison)
    parts = [f"### Benchmark: {title}", "\n".join(f"- {escaped(fact)}" for fact in facts)]
    if shown:
        parts.append(_pairs_table(shown, names))
    if folded:
        parts.append(f"<details><summary>{len(folded)} more cases</summary>\n")
        parts += [_pairs_table(folded, names), "</details>"]
    return "\n\n".join(parts) + "\n"


def as_csv(comparison: Comparison) -> str:
    """Every pair with full values, a column for each parameter."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    outcomes = ("verdict", "a_ms", "b_ms", "ratio", "ratio_low", "ratio_high", "why")
    writer.writerow([*PARAMETERS, *outcomes])
    for pair in comparison.pairs:
        found = _outcome(pair)
        writer.writerow([*pair.key, *("" if found[name] is None else found[name] for name in outcomes)])
    return text.getvalue()


def as_json(comparison: Comparison) -> str:
    """Everything, for programs."""
    mean, pairs = comparison.mean
    value = {
        "outcome": OUTCOMES[comparison.exit_code],
        "exit_code": comparison.exit_code,
        "a": str(comparison.a),
        "b": str(comparison.b),
        "margin": comparison.margin,
        "margin_from": comparison.margin_from,
        "confidence": comparison.confidence,
        "geometric_mean": {"ratio": mean, "pairs": pairs, "left_out": comparison.left_out},
        "verdicts": comparison.counts,
        "warnings": comparison.warnings,
        "pairs": [{**pair.parameters, **_outcome(pair)} for pair in comparison.pairs],
    }
    return json.dumps(value, indent=1) + "\n"


FORMATS: Mapping[str, Callable[[Comparison], str]] = {
    "text": as_text,
    "markdown": as_markdown,
    "csv": as_csv,
    "json": as_json,
}


def _summary(comparison: Comparison) -> list[str]:
    """The outcome, then sentences about it."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in comparison.counts.items()) or "no cases"
    mean, pairs = comparison.mean
    ratio = "no pair has a time in both" if mean is None else f"{mean:.3f} over {pairs} pairs"
    left_out = "; ".join(f"{count} {why}" for why, count in comparison.left_out.items())
    return [
        f"{OUTCOMES[comparison.exit_code]} ({counts})",
        f"A is {comparison.a}, B is {comparison.b}; ratios are B's time over A's, above 1 is slower",
        f"geometric mean of the ratios: {ratio}" + (f"; left out: {left_out}" if left_out else ""),
        f"margin {comparison.margin:.1%}, from {comparison.margin_from}; intervals at {comparison.confidence:.0%}",
        *(f"{verdict}: {VERDICTS[verdict]}" for verdict in comparison.counts),
        *(f"warning: {warning}" for warning in comparison.warnings),
    ]


def telling(keys: Sequence[Key]) -> list[str]:
    """The parameters by which cases differ, and those that no case is named without."""
    always = {"implementation", "mode"}
    columns = zip(PARAMETERS, zip(*keys, strict=True), strict=False)
    return [name for name, values in columns if (name in always or len(set(values)) > 1) and name != "kind"]


def case_name(key: Key, names: Collection[str]) -> str:
    """A case by some of its parameters."""
    values = dict(zip(PARAMETERS, key, strict=True))
    return " ".join(SHORT.get(name, "") + (values[name] or "none") for name in names)


def _row(pair: Pair, names: list[str]) -> tuple[str, ...]:
    case = case_name(pair.key, names)
    interval = "" if pair.interval is None else f"{pair.interval.low:.3f} to {pair.interval.high:.3f}"
    numbers = ["" if value is None else f"{value:.4g}" for value in (pair.a_ms, pair.b_ms)]
    verdict = f"({pair.verdict})" if pair.yardstick else pair.verdict
    return (verdict, case, *numbers, "" if pair.ratio is None else f"{pair.ratio:.3f}", interval, pair.why)


def _outcome(pair: Pair) -> dict[str, Any]:
    low, high = (None, None) if pair.interval is None else (pair.interval.low, pair.interval.high)
    found = {"verdict": pair.verdict, "a_ms": pair.a_ms, "b_ms": pair.b_ms, "ratio": pair.ratio}
    return {**found, "ratio_low": low, "ratio_high": high, "why": pair.why}


def _pairs_table(pairs: list[Pair], names: list[str]) -> str:
    return markdown_table(_HEADER, [_row(pair, names) for pair in pairs], numbers=(2, 3, 4))
