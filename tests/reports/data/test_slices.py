"""Groups, axes and slices."""

from reports.data.slices import coordinates, describe, group_rows, plane
from tests.support.report_rows import MakeRun, case, sweep
from tests.support.report_sections import material_from


def test_slices_move_one_parameter(make_run: MakeRun) -> None:
    (group,) = material_from(make_run, sweep({"unfold": 1.0, "triton": 9.0})).groups
    assert {one.axis.name: one.ticks for one in group.slices} == {
        "kernel_size": [3, 5, 7, 9],
        "m": [1, 2, 8, 16],
        "resolution": [7, 14, 28, 56],
    }
    assert {len(one.rows) for one in group.slices} == {8}
    assert group.off_slices == 0
    assert describe(group.base).startswith("28×28 pixels, batch 2, channels 64, kernel size 7, m 8,")


def test_grid_is_cut_through_its_middle(make_run: MakeRun) -> None:
    rows = [case(1.0, kernel_size=k, m=m) for k in (3, 5, 7) for m in (1, 2, 4, 8, 16)]
    (group,) = material_from(make_run, rows).groups
    k, m = group.slices
    assert set(k.rows["m"]) == {4}
    assert set(m.rows["kernel_size"]) == {5}
    assert group.off_slices == 15 - 7
    assert len(plane(group, ("m", "kernel_size"))) == 15


def test_height_and_width_on_their_own_are_two_axes(make_run: MakeRun) -> None:
    rows = [case(1.0, height=h, width=w) for h, w in ((28, 28), (14, 28), (56, 28), (28, 7), (14, 14))]
    (group,) = material_from(make_run, rows).groups
    assert {one.axis.name: one.ticks for one in group.slices} == {
        "resolution": [14, 28],
        "height": [14, 28, 56],
        "width": [7, 28],
    }
    assert len(plane(group, ("resolution", "channels"))) == 2


def test_padding_that_keeps_the_size_is_no_axis(make_run: MakeRun) -> None:
    material = material_from(make_run, [case(1.0), case(1.0, kernel_size=9), case(kernel_size=9, padding=1, m=1)])
    assert list(coordinates(material.cases)["padding"]) == ["same", "same", 1]
    (group,) = group_rows(material.cases.iloc[:2])
    assert [one.axis.name for one in group.slices] == ["kernel_size"]


def test_stages_are_problems_and_no_axis(make_run: MakeRun) -> None:
    rows = [
        case(1.0, channels=c, height=h, width=h, stride=s) for c, h, s in ((100, 56, 1), (200, 28, 1), (64, 224, 2))
    ]
    (group,) = material_from(make_run, rows).groups
    assert group.slices == []
    assert group.problems is not None
    assert group.problems.ticks == ["100×56²", "200×28²", "64×224² s2"]


def test_settings_and_scopes_are_groups_of_their_own_and_networks_none(make_run: MakeRun) -> None:
    rows = [case(1.0, dtype=dtype, cache=cache) for dtype in ("float32", "bfloat16") for cache in ("cold", "hot")]
    rows += [case(1.0, scope="layer"), case(1.0, scope="network", depth=50, torch_compile=True)]
    groups = material_from(make_run, rows).groups
    assert [group.label for group in groups] == [
        "operator, bfloat16, cold",
        "operator, bfloat16, hot",
        "operator, float32, cold",
        "operator, float32, hot",
        "layer, float32, hot",
    ]
    assert len({group.slug for group in groups}) == len(groups)


def test_devices_are_groups_of_their_own(make_run: MakeRun) -> None:
    groups = material_from(make_run, [case(1.0), case(1.0, m=1, device="cuda")]).groups
    assert [group.key[0] for group in groups] == ["cpu", "cuda"]
    assert [group.slug for group in groups] == ["place0_operator", "place1_operator"]
