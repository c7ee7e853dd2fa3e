"""Noise, throttling and checks."""

from reports.sections import trust
from reports.sections.material import Material
from tests.support.report_sections import table_of


def test_trust_tells_of_noise_throttling_and_checks(gpu: Material) -> None:
    section = trust.section(gpu)
    text = " ".join(section.paragraphs)
    assert "was made by `python -m bench run gpu --out 'runs/a b'` at commit 0123456789ab." in text
    assert "noise floor of gpu is 1.3%" in text
    tainted = int((gpu.cases["tainted"] == "True").sum())
    assert f"{tainted} cases of {len(gpu.cases)} tainted by throttling ({tainted} power_cap)" in text
    assert table_of(section, "doctor")["verdict"].to_list() == ["WARN"]
    assert table_of(section, "samples")["tainted cases"].sum() == tainted
    stops = table_of(section, "stops")
    assert set(stops["meaning"]) == {"the interval was narrow enough", "the time of the case was over"}
