"""What trainings say: accuracies with their spread, paired differences, and a verdict on each claim."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

LEVEL = 0.95
LEAST_SEEDS = 5
# Percentage points of accuracy that count as little; chosen before the first run.
LITTLE = 0.5

_OPTIONS = {"composability": "multiplication", "prior": "network", "m": "8"}


@dataclass(frozen=True)
class Claim:
    """A claim of the article as a sum of signed accuracies, in percentage points, that is above `least`."""

    text: str
    terms: Mapping[str, int]
    least: float = 0.0

    @property
    def contrast(self) -> str:
        """The sum as a formula of variants."""
        words = [f"{'+' if sign > 0 else '−'} {name}" for name, sign in self.terms.items()]
        return " ".join(words).removeprefix("+ ")


CLAIMS = (
    Claim("Larger windows help the layer", {"relation-k7": 1, "relation-k3": -1}),
    Claim("Convolution saturates at 3×3", {"convolution-k3": 1, "convolution-k7": -1}, -LITTLE),
    Claim(
        "Larger windows help the layer more than convolution",
        {"relation-k7": 1, "relation-k3": -1, "convolution-k7": -1, "convolution-k3": 1},
    ),
    Claim("The prior network is better than a table at k = 7", {"relation-k7": 1, "relation-k7-table": -1}),
    Claim(
        "The prior network gains on the table as the window grows",
        {"relation-k7": 1, "relation-k7-table": -1, "relation-k3": -1, "relation-k3-table": 1},
    ),
    Claim("Eight channels that share weights lose little", {"relation-k7": 1, "relation-k7-m1": -1}, -LITTLE),
)
# Bonferroni: all intervals hold together with probability LEVEL.
CLAIM_LEVEL = 1 - (1 - LEVEL) / len(CLAIMS)


def interval(values: Sequence[float] | np.ndarray, level: float) -> tuple[float, float]:
    """Student's interval of the mean; NaN for fewer than two values, or equal ones, whose spread says nothing."""
    array = np.asarray(values, dtype=float)
    if len(array) < 2 or np.ptp(array) == 0:
        return float("nan"), float("nan")
    low, high = stats.t.interval(level, len(array) - 1, array.mean(), stats.sem(array))
    return float(low), float(high)


def accuracies(rows: pd.DataFrame) -> pd.DataFrame:
    """Held-out accuracy in per cent, a row for each seed and a column for each variant, NaN where not trained."""
    percent = rows.assign(percent=100 * rows["correct"] / rows["held_out"])
    order = list(dict.fromkeys(rows["variant"]))
    return percent.pivot_table(index="seed", columns="variant", values="percent")[order]


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each variant: mean accuracy, its interval and spread over seeds, and what the network is."""
    table = accuracies(rows)
    lines = []
    for name, group in rows.groupby("variant", sort=False):
        percent = table[str(name)].dropna()
        low, high = interval(percent.to_numpy(), LEVEL)
        first = group.iloc[0]
        lines.append(
            {
                "variant": name,
                "k": first["kernel_size"],
                **{"Φ" if option == "composability" else option: first[option] for option in _OPTIONS},
                "seeds": len(percent),
                "accuracy %": percent.mean(),
                "low %": low,
                "high %": high,
                "deviation": percent.std(),
                "worst %": percent.min(),
                "best %": percent.max(),
                "training %": 100 * group["train_accuracy"].mean(),
                "loss": group["loss"].mean(),
                "parameters": first["parameters"],
                "seconds": group["seconds"].mean(),
            }
        )
    return pd.DataFrame(lines)


def differences(rows: pd.DataFrame) -> pd.DataFrame:
    """Each variant of the layer less the layer's default with the same window, over the seeds that both have."""
    table = accuracies(rows)
    lines = []
    for name in table:
        base = "-".join(str(name).split("-")[:2])
        if name != base and base in table:
            values = (table[name] - table[base]).dropna()
            low, high = interval(values.to_numpy(), LEVEL)
            mean = values.mean() if len(values) else float("nan")
            lines.append((name, base, len(values), mean, low, high))
    return pd.DataFrame(lines, columns=["variant", "less", "seeds", "points", "low", "high"])


def claims(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each claim: the contrast, its interval at `CLAIM_LEVEL` over paired seeds, and the verdict."""
    table = accuracies(rows)
    lines = []
    for claim in CLAIMS:
        if set(claim.terms) <= set(table):
            sums = sum((sign * table[name] for name, sign in claim.terms.items()), start=pd.Series(0.0, table.index))
            values = sums.dropna().to_numpy()
        else:
            values = np.array([])
        low, high = interval(values, CLAIM_LEVEL)
        mean = float(values.mean()) if len(values) else float("nan")
        verdict = judge(claim, len(values), low, high)
        lines.append((claim.text, claim.contrast, claim.least, len(values), mean, low, high, verdict))
    columns = ["claim", "in points", "is above", "seeds", "mean", "low", "high", "verdict"]
    return pd.DataFrame(lines, columns=columns)


def judge(claim: Claim, seeds: int, low: float, high: float) -> str:
    """What the interval says: shown above the least, contradicted below it, else not shown."""
    if seeds < LEAST_SEEDS:
        return f"not shown: {seeds} seeds, at least {LEAST_SEEDS} are needed"
    if np.isnan(low):
        return "not shown: every seed gave the same, which leaves no spread to judge by"
    if low > claim.least:
        return "shown"
    return "contradicted" if high < claim.least else "not shown"
