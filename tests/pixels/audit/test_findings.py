"""What follows from bad images: rows that stay, rows that get another site's images; and when an audit is none."""

import json

import numpy as np
import pandas as pd
import pytest

from rcic.errors import UserError
from rcic.files.record import Record
from rcic.pixels.audit.findings import (
    FINDINGS,
    REPORT,
    Audit,
    Finding,
    Unaudited,
    origin_of,
    read_audit,
    read_findings,
    write_audit,
)
from rcic.pixels.audit.folder_state import folder_states
from rcic.pixels.batches.dataset import SiteDataset
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.sites import ITS_OWN, STACKED, SUBSTITUTE_SITE, Site, site_table, sites_of, stack_rows
from rcic.screen.table import read_screen
from tests.pixels.conftest import SIZE, pixels, write_tables

CHANNELS = (1, 2, 3)


def audit_of(*bad: tuple[str, int, int], on_bad="drop") -> Audit:
    """Return an audit that found these images (id_code, site, channel) black."""
    rows = [
        Finding(code, site, channel, f"{code}_{site}_{channel}.png", "zero", "black") for code, site, channel in bad
    ]
    return Audit(on_bad, pd.DataFrame(rows, columns=list(Finding._fields)))


BAD = (("HUVEC-01_1_B02", 2, 3), ("HUVEC-01_1_C03", 1, 6), ("RPE-02_1_B02", 1, 1), ("RPE-02_1_B02", 2, 2))


def kept(rows: pd.DataFrame) -> list[tuple[str, int]]:
    return list(zip(rows["id_code"], rows["site"], strict=True))


def test_bad_sites_are_dropped_if_the_channel_is_read(wells):
    rows, audit = site_table(wells), audit_of(*BAD)
    left = audit.usable_rows(rows, CHANNELS)
    lost = {("HUVEC-01_1_B02", 2), ("RPE-02_1_B02", 1), ("RPE-02_1_B02", 2)}
    assert kept(left) == [pair for pair in kept(rows) if pair not in lost]
    assert SUBSTITUTE_SITE not in left and left.index.equals(pd.RangeIndex(9)) and list(left) == list(rows)
    assert set(kept(rows)) - set(kept(audit.usable_rows(rows, (6,)))) == {("HUVEC-01_1_C03", 1)}
    assert audit.usable_rows(rows, (4, 5)).equals(rows)
    assert audit.sound(rows, (4, 5)).all() and audit.sound(rows, CHANNELS).sum() == 9


def test_nothing_bad_changes_nothing(wells):
    rows = site_table(wells)
    assert audit_of().usable_rows(rows, CHANNELS).equals(rows)
    other = audit_of(on_bad="other-site").usable_rows(rows, CHANNELS)
    assert (
        other.drop(columns=SUBSTITUTE_SITE).equals(rows)
        and set(other[SUBSTITUTE_SITE]) == {ITS_OWN}
        and sites_of(other) == sites_of(rows)
    )


def test_the_other_site_stands_in_where_it_is_sound(wells):
    rows = site_table(wells)
    left = audit_of(*BAD, on_bad="other-site").usable_rows(rows, CHANNELS)
    assert set(kept(rows)) - set(kept(left)) == {("RPE-02_1_B02", 1), ("RPE-02_1_B02", 2)}
    assert left[SUBSTITUTE_SITE].tolist() == [ITS_OWN, 1] + [ITS_OWN] * 8 and left[SUBSTITUTE_SITE].dtype == np.int64
    assert sites_of(left)[1] == Site("train", "HUVEC-01", 1, "B02", 1)
    only = audit_of(*BAD, on_bad="other-site").usable_rows(site_table(wells, (2,)), CHANNELS)
    assert only[SUBSTITUTE_SITE].tolist() == [1, *[ITS_OWN] * 4] and set(only["site"]) == {2}


def test_the_dataset_reads_the_other_site(write_root, wells):
    store = FileStore(write_root())
    rows = audit_of(*BAD, on_bad="other-site").usable_rows(site_table(wells), CHANNELS)
    dataset = SiteDataset(rows, store, CHANNELS)
    own, stands_in = dataset[0], dataset[1]
    assert np.array_equal(own["image"], stands_in["image"]) and (own["site"], stands_in["site"]) == (1, 2)
    assert np.array_equal(stands_in["image"][0], pixels("HUVEC-01", "B02", 1, 1))
    assert np.array_equal(dataset[3]["image"][1], pixels("HUVEC-01", "C03", 2, 2))


def test_stacked_sites_are_one_site_twice(write_root, wells):
    store = FileStore(write_root())
    rows = audit_of(*BAD, on_bad="other-site").usable_rows(site_table(wells), CHANNELS)
    stacked, lacking = stack_rows(rows, (1, 2))
    assert stacked[SUBSTITUTE_SITE].tolist() == [1, *[ITS_OWN] * 4] and lacking.empty
    dataset = SiteDataset(stacked, store, CHANNELS, stacked=(1, 2))
    both = dataset.image(0).reshape(2, 3, SIZE, SIZE)
    assert np.array_equal(both[0], both[1]) and np.array_equal(both[1, 2], pixels("HUVEC-01", "B02", 1, 3))
    whole = dataset.image(1).reshape(2, 3, SIZE, SIZE)
    assert np.array_equal(whole[1, 0], pixels("HUVEC-01", "C03", 2, 1)) and dataset[0]["site"] == STACKED


def test_the_digest_is_of_the_bad_sites_that_are_read():
    audit, turned = audit_of(*BAD), audit_of(*BAD[::-1])
    assert audit.digest((4, 5)) == audit_of().digest(CHANNELS) == ""
    assert len(audit.digest(CHANNELS)) == 64 and audit.digest(CHANNELS) == turned.digest((3, 2, 1))
    others = [audit.digest((1, 2)), audit_of(*BAD, on_bad="other-site").digest(CHANNELS)]
    assert len({audit.digest(CHANNELS), *others}) == 3
    more = audit_of(*BAD, ("RPE-02_1_B02", 1, 3))  # another bad image of a site that is bad already
    assert more.digest(CHANNELS) == audit.digest(CHANNELS)


@pytest.fixture
def screen(write_root, wells):
    root = write_root()
    write_tables(root, wells)
    return read_screen(root)


@pytest.fixture
def write(screen, tmp_path):
    """Return a function that writes an audit of the screen and returns its folder."""

    def written(audit, **changed):
        decided = {"mode": "full", "on_bad": audit.on_bad}
        facts = {"seconds": 1.5, "marks": folder_states(screen)}
        write_audit(tmp_path / "audit", audit, Record("audit", origin_of(screen) | changed, decided, facts=facts))
        return tmp_path / "audit"

    return written


@pytest.mark.parametrize("bad", [(), BAD])
def test_an_audit_is_read_back(write, screen, bad):
    audit = read_audit(write(audit_of(*bad)), screen)
    pd.testing.assert_frame_equal(audit.findings, audit_of(*bad).findings, check_dtype=bool(bad))
    rows = site_table(screen.wells)
    assert audit.usable_rows(rows, CHANNELS).equals(audit_of(*bad).usable_rows(rows, CHANNELS))
    assert audit.digest(CHANNELS) == audit_of(*bad).digest(CHANNELS) and audit.on_bad == "drop"


def test_stop_stops_only_where_something_is_bad(write, screen):
    assert read_audit(write(audit_of(on_bad="stop")), screen).findings.empty
    with pytest.raises(UserError) as caught:
        read_audit(write(audit_of(*BAD, on_bad="stop")), screen)
    assert not isinstance(caught.value, Unaudited)
    assert str(caught.value).startswith(f"{screen.root}: 4 bad images in 4 sites, listed in ")
    assert str(caught.value).endswith("audit with --on_bad=drop or --on_bad=other-site")


def refusal(folder, screen):
    with pytest.raises(Unaudited) as caught:
        read_audit(folder, screen)
    assert f"run rcic data audit --data_root {screen.root} --out_dir {folder}" in str(caught.value)
    return str(caught.value)


def test_a_root_that_was_never_audited(screen, tmp_path):
    assert refusal(tmp_path / "none", screen).startswith(f"{tmp_path}/none/audit.json: not found, so the images of")


def test_the_audit_of_another_screen(write, screen):
    folder = write(audit_of(), sites=[1, 2, 3])
    said = f"{folder}/audit.json: of another screen than {screen.root} is now, with other sites (3 then, 2 now; 3 is "
    assert refusal(folder, screen).startswith(said)


def test_a_root_that_has_changed_since(write, screen):
    folder = write(audit_of(*BAD))
    for plate in sorted(screen.root.glob("*/*/Plate1"))[:2]:
        (plate / "B02_s1_w1.png").unlink()
    said = refusal(folder, screen)
    assert said.startswith(f"{screen.root}: train/HUVEC-01/Plate1, test/HUVEC-03/Plate1 changed since the audit in ")
    assert said.endswith(" --mode=full --on_bad=drop")


@pytest.mark.parametrize("spoil", ["edited", "no table", "half", "text", "a list", "not text", "skip"])
def test_a_report_that_is_not_whole(write, screen, spoil):
    folder = write(audit_of(*BAD))
    report, table = folder / REPORT, folder / FINDINGS
    if spoil == "edited":
        table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    elif spoil == "no table":
        table.unlink()
    elif spoil == "skip":
        report.write_text(report.read_text().replace('"drop"', '"skip"'))
    else:
        content = {"half": report.read_text()[:99], "text": "x", "a list": "[]", "not text": "\udcff"}[spoil]
        report.write_bytes(content.encode(errors="surrogateescape"))
    said = refusal(folder, screen)
    assert "damaged" in said or "is missing" in said or "JSON" in said
    assert said.startswith(f"{folder}/audit.") and "; run " in said


def test_the_report_is_plain_json(write, screen):
    record = json.loads((write(audit_of(*BAD)) / REPORT).read_text())
    assert record["facts"]["seconds"] == 1.5 and len(record["facts"]["marks"]) == 3
    assert record["made_with"] == {"mode": "full", "on_bad": "drop"} and list(record["files"]) == [FINDINGS]


def test_findings_are_told_whatever_was_decided(write, screen):
    folder = write(audit_of(*BAD, on_bad="stop"))
    assert read_findings(folder, screen)["id_code"].tolist() == audit_of(*BAD).findings["id_code"].tolist()
    (screen.root / "train/HUVEC-01/Plate1/new.png").touch()  # of which `read_audit` says that the images have changed
    assert len(read_findings(folder, screen)) == 4
    with pytest.raises(Unaudited, match=r"another screen than .* with other sites"):
        read_findings(write(audit_of(), sites=[1]), screen)
    with pytest.raises(Unaudited, match=r"were not audited"):
        read_findings(folder / "nothing", screen)
