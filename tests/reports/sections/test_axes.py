"""Where along an axis the working set outgrows the L2."""

import pytest

from reports.sections import axes
from reports.sections.material import Material
from tests.support import synthetic


def test_the_l2_is_marked_where_the_working_set_outgrows_it(gpu: Material) -> None:
    (group,) = [group for group in gpu.groups if group.label == "operator, bfloat16, cold"]
    (resolution,) = [one for one in group.slices if one.axis.name == "resolution"]
    device = gpu.devices[synthetic.DEVICE]
    text, marks = axes.working_set(resolution, "forward", device)
    # 64 images of 2·200 + 2·200/8 numbers of 2 bytes per pixel.
    assert marks == {"L2, 50 MiB": pytest.approx((50 * 2**20 / (64 * 450 * 2)) ** 0.5)}
    assert "outgrow the L2's 50 MiB" in text
    (stride,) = [one for one in group.slices if one.axis.name == "stride"]
    assert axes.working_set(stride, "forward", device)[0].endswith("fit the L2's 50 MiB throughout.")
    assert axes.working_set(resolution, "forward", {}) == ("", {})
