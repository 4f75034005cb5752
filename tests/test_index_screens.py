"""From an export with an index, and from the OME-Zarr plates made of it, all the way to answers: the same ones."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from rcic.discover.discovery import discover
from rcic.screen.spec_files import read_spec
from tests.harmony_export import WELLS, write_measurement, write_screen
from tests.program import TINY, Program

MEMBER = Path("[1,2]/fold_0/tiny")
CONFIG = TINY.replace(", audit: off, folds_dir: FOLDS", ", channels: [1, 2]").replace("epochs: 2", "epochs: 1")


def chain(program: Program, root: Path, name: str) -> np.ndarray:
    """Go from a described data root to answers and a report; return the logits of the held-out wells."""
    data, work = f"--data_root={root}", f"--work_dir={name}/work"
    assert "no bad images" in program.run("data.py", "audit", data, work)
    assert "2 folds by plate" in program.run("data.py", "folds", data, work)
    start = ("--config=tiny.yml", "--fold=0", "--set=init.stage=none", f"--log_root={name}/logs")
    program.run("train.py", "run", data, work, *start)
    models = (f"--model_root={name}/logs/full", "--model_name=tiny")
    program.run("inference.py", "predict-all", data, work, *models, f"--out_dir={name}/out")
    program.run("inference.py", "embed-all", data, work, *models, f"--out_dir={name}/emb")
    where = (data, work, f"--predict_root={name}/out")
    told = program.run("inference.py", "score", *where, "--split=valid", f"--embed_root={name}/emb")
    assert "nan" not in told and "wells held out" not in told
    told = program.run("inference.py", "ensemble", *where, f"--out_dir={name}/sub")
    assert "submission.csv: 4 wells" in told and "groups of its plates" not in told  # the plates have no groups
    program.run("report.py", *where, f"--log_root={name}/logs", f"--embed_root={name}/emb", f"--out={name}/r.html")
    assert program.run("check.py", name).splitlines()[-1].endswith(" sound")
    return np.load(Path(name) / "out" / MEMBER / "pred_valid.npy")


def test_an_index_and_its_ome_zarr_plates_give_the_same_answers(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("tiny.yml").write_text(CONFIG)
    program, root = Program(capsys), write_screen(tmp_path / "export")
    told = program.run("data.py", "discover", f"--data_root={root}", f"--out={root}/screen.yml")
    assert "2 plates, 12 wells, 1 site, 2 channels: DAPI, Alexa 488" in told
    logits = chain(program, root, "index")
    assert logits.shape == (4, 2)  # DMSO is a control
    program.run("data.py", "pack", f"--data_root={root}", "--out_dir=zarr", "--format=ome-zarr")
    assert np.array_equal(chain(program, Path("zarr"), "plates"), logits)


@pytest.mark.parametrize("is_known", [True, False], ids=["table", "no table"])
def test_a_plate_measured_again_is_one_plate(tmp_path, is_known):
    """The measurement with most wells counts, the first of equals; the pattern finds no other one."""
    root = write_screen(tmp_path / "export")
    write_measurement(root, "BR01", 0, number=2)
    write_measurement(root, "BR02", 1, number=2, wells=WELLS[:2])
    if not is_known:
        (root / "plate map.csv").unlink()
    report = discover(root, root / "screen.yml")
    assert "2 plates, 12 wells" in report
    assert "BR02__2024-05-02T10_11_11-Measurement 2/Images/Index.idx.xml: plate BR02 was measured again" in report
    spec = read_spec(root / "screen.yml")
    assert [*spec.images.file] == [
        f"BR0{n}__2024-05-01T10_11_1{n - 1}-Measurement 1/Images/Index.idx.xml" for n in (1, 2)
    ]


def test_plates_without_names_of_their_own_stay_apart(tmp_path):
    """Folders that the table names are plates, whatever their indexes call them."""
    for number in (1, 2):
        write_measurement(tmp_path, "Plate", 0, number)
    names = sorted(path.name for path in tmp_path.iterdir())
    rows = [f"{name},{well},x{n}" for name in names for n, well in enumerate(WELLS)]
    (tmp_path / "wells.csv").write_text("\n".join(["plate,well,label", *rows]) + "\n")
    assert "2 plates, 12 wells" in discover(tmp_path, tmp_path / "screen.yml")


def test_plates_that_the_table_calls_otherwise_are_told(tmp_path):
    root = write_screen(tmp_path / "export")
    table = root / "plate map.csv"
    table.write_text(table.read_text().replace("BR0", "Plate "))
    report = discover(root, root / "screen.yml")
    assert "plates: plate map.csv calls them Plate 1, Plate 2, the images BR01, BR02; call them in the table" in report


def test_why_a_spec_does_not_work_comes_first(tmp_path):
    """Not that levels are missing, which could not be measured for that reason."""
    root = write_screen(tmp_path / "export")
    with (root / "plate map.csv").open("a") as table:
        table.write("BR01,B02,taxol\n")  # twice
    report = discover(root, root / "screen.yml")
    assert "must be given" not in report and "listed twice" in report
    assert "listed twice" in (root / "screen.yml").read_text().splitlines()[0]


def test_wells_with_fewer_sites_are_told_with_what_to_do(tmp_path):
    for well, sites in (("B02", "12"), ("B03", "12"), ("C02", "1")):
        for site in sites:
            tifffile.imwrite(tmp_path / f"{well}_s{site}.tif", np.full((8, 8), 9, np.uint8))
    report = discover(tmp_path, tmp_path / "screen.yml")
    assert "sites: 1 well with fewer than the screen; rcic data audit calls the others missing, and with" in report
    lines = (tmp_path / "screen.yml").read_text().splitlines()
    assert "1 well with fewer" in next(line for line in lines if line.startswith("sites"))
