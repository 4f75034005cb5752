import pandas as pd
import pytest

from rcic.errors import UserError
from rcic.pixels.images.sites import (
    ITS_OWN,
    STACKED,
    SUBSTITUTE_SITE,
    Site,
    check_channels,
    site_table,
    sites_of,
    stack_rows,
)
from rcic.screen.spec_files import shipped_spec


@pytest.mark.parametrize("channels", [(), (0,), (7,), (1, 1), ("1",)])
def test_wrong_channels_are_refused(channels):
    with pytest.raises(UserError, match="channel"):
        check_channels(channels, shipped_spec("rcic"))
    assert check_channels([3, 1], shipped_spec("rcic")) == (3, 1)


def test_site_table_repeats_each_well(wells):
    rows = site_table(wells.sample(frac=1, random_state=0))
    assert rows["site"].tolist() == [1, 2] * len(wells)
    assert rows["id_code"].tolist()[::2] == rows["id_code"].tolist()[1::2]
    assert rows.index.equals(pd.RangeIndex(2 * len(wells)))
    assert len(site_table(wells, sites=(2,))) == len(wells)
    assert sites_of(site_table(wells))[1] == Site("train", "HUVEC-01", 1, "B02", 2)


def test_wells_with_all_sites_are_stacked(wells):
    rows = site_table(wells)
    complete, lacking = stack_rows(rows, (1, 2))
    assert complete.drop(columns="site").equals(wells)
    assert complete["site"].tolist() == [STACKED] * len(wells)
    assert lacking.empty
    assert list(lacking) == list(rows)
    assert len(stack_rows(rows[rows["site"] == 2], (2,))[0]) == len(wells)


def test_wells_that_lack_a_site_are_told(wells):
    rows = site_table(wells)
    some = rows.drop(index=[1, 4]).sample(frac=1, random_state=0)  # a site 2 and a site 1
    complete, lacking = stack_rows(some, (1, 2))
    told = set(zip(lacking["id_code"], lacking["site"], strict=True))
    assert told == {(rows["id_code"][1], 2), (rows["id_code"][4], 1)}
    assert set(complete["id_code"]) == set(wells["id_code"]) - set(lacking["id_code"])
    assert complete["id_code"].tolist() == [
        code for code in some["id_code"].unique() if code in set(complete["id_code"])
    ]
    assert complete.index.equals(pd.RangeIndex(len(complete)))
    with pytest.raises(UserError, match=r"none of 6 wells has all of the sites \[1, 2\], so none can be stacked"):
        stack_rows(rows[rows["site"] == 1], (1, 2))


def test_site_zero_is_a_site_and_no_mark(wells):
    rows = site_table(wells, (0, 1))
    stacked, lacking = stack_rows(rows, (0, 1))
    assert lacking.empty and set(stacked["site"]) == {STACKED}
    replaced = rows.assign(**{SUBSTITUTE_SITE: [0 if site == 1 else ITS_OWN for site in rows["site"]]})
    assert {site.site for site in sites_of(replaced)} == {0}
    assert set(stack_rows(replaced, (0, 1))[0][SUBSTITUTE_SITE]) == {0}
