"""File names as instruments and people write them, each a small plate or two."""

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

GUIDS = [f"{n:08X}-9960-4952-8955-D1721D112EE2" for n in range(0x66923EB0, 0x66923EB0 + 500)]
WELLS = ("B02", "B11", "C02", "P24")
SHORT = ("A1", "B2", "C11")
SITES = (1, 2, 3)


class Tree(NamedTuple):
    """Files, and what is true of them: pattern ("" if they must be listed), number of wells, sites, channels, z."""

    files: list[str]
    pattern: str
    n_wells: int
    n_sites: int
    n_channels: int
    n_z: int = 1
    n_times: int = 1


def operetta() -> Tree:
    images = product(("P1", "P2"), (2, 3), (2, 11), SITES, (1, 2))
    files = [f"{p}__2024-05-03T10_00_00/r{r:02}c{c:02}f{f:02}p01-ch{w}sk1fk1fl1.tiff" for p, r, c, f, w in images]
    pattern = "{plate}__2024-05-03T10_00_00/r{row_number:02}c{column:02}f{site:02}p01-ch{channel}sk1fk1fl1.tiff"
    return Tree(files, pattern, 4, 3, 2)


def operetta_stacks() -> Tree:
    images = product((2, 3), (2, 11), SITES, (1, 2, 3), (1, 2))
    files = [f"r{r:02}c{c:02}f{f:02}p{z:02}-ch{w}sk1fk1fl1.tiff" for r, c, f, z, w in images]
    pattern = "r{row_number:02}c{column:02}f{site:02}p{z:02}-ch{channel}sk1fk1fl1.tiff"
    return Tree(files, pattern, 4, 3, 2, 3)


def metaxpress_database() -> Tree:
    names = iter(GUIDS)
    files = [f"2024-02-21/1334/Mix_{w}_s{s}_w{c}{next(names)}.tif" for w, s, c in product(WELLS, SITES, (1, 2))]
    return Tree(files, "2024-02-21/1334/Mix_{well}_s{site}_w{channel}*.tif", 4, 3, 2)


def cellomics() -> Tree:
    images = product((1, 2), WELLS, SITES, (0, 1))
    files = [f"MFGTMP-PC_11071900000{p}_{w}f{f:02}d{c}.TIF" for p, w, f, c in images]
    return Tree(files, "{plate}_{well}f{site:02}d{channel}.TIF", 4, 3, 2)


def evos() -> Tree:
    files = [f"scan_Plate_R_p00_0_{w}f{f:02}d{c}.TIF" for w, f, c in product(WELLS, SITES, (0, 1))]
    return Tree(files, "scan_Plate_R_p00_0_{well}f{site:02}d{channel}.TIF", 4, 3, 2)


def in_cell() -> Tree:
    images = product("BC", (2, 11), SITES, ("DAPI - DAPI", "FITC - FITC"))
    files = [f"PlateA_1/{r} - {c:02}(fld {f} wv {w}).tif" for r, c, f, w in images]
    return Tree(files, "PlateA_1/{row} - {column:02}(fld {site} wv {channel}).tif", 4, 3, 2)


def gen5() -> Tree:
    channels = list(enumerate(("DAPI", "GFP", "Texas Red"), start=1))
    files = [f"{w}_01_{n}_{f}_{name}_001.tif" for w, f, (n, name) in product(SHORT, SITES, channels)]
    return Tree(files, "{row}{column}_01_*_{site}_{channel}_001.tif", 3, 3, 3)


def matrix_screener() -> Tree:
    files = []
    for u, v, x, y, c in product((0, 1), repeat=5):
        folders = f"slide--S00/chamber--U{u:02}--V{v:02}/field--X{x:02}--Y{y:02}"
        name = f"image--L0000--S00--U{u:02}--V{v:02}--J08--E00--O00--X{x:02}--Y{y:02}--T0000--Z00--C{c:02}.ome.tif"
        files.append(f"{folders}/{name}")
    return Tree(files, "", 4, 4, 2)


def incucyte() -> Tree:
    images = product(("Phase", "Green"), SHORT, SITES)
    files = [f"{c}/VID12_{w}_{s}_2021y03m05d_00h30m.tif" for c, w, s in images]
    return Tree(files, "{channel}/VID12_{row}{column}_{site}_2021y03m05d_00h30m.tif", 3, 3, 2)


def incucyte_times() -> Tree:
    files = [f"VID12_{w}_{s}_2021y03m05d_{h:02}h30m.tif" for w, s, h in product(SHORT, SITES, (0, 6, 12))]
    return Tree(files, "", 3, 3, 1, n_times=3)


def nis_jobs() -> Tree:
    images = product(WELLS, SITES, enumerate(("DAPI", "GFP,Cy5")))
    files = [f"Well{w}_Point{w}_{s:04}_Channel{c}_Seq{n:04}.tif" for w, s, (n, c) in images]
    return Tree(files, "Well{well}_*_{site:04}_Channel{channel}_Seq*.tif", 4, 3, 2)


def cell_voyager() -> Tree:
    images = product(WELLS, SITES, (1, 2), (1, 2))
    files = [f"AssayPlate_{w}_T0001F{f:03}L01A0{c}Z{z:02}C{c:02}.tif" for w, f, z, c in images]
    return Tree(files, "AssayPlate_{well}_T0001F{site:03}L01A*Z{z:02}C{channel}.tif", 4, 3, 2, 2)


def cq1() -> Tree:
    files = [f"Image/W{w:04}F{f:04}T0001Z001C{c}.tif" for w, f, c in product((1, 13, 96), SITES, (1, 2))]
    return Tree(files, "", 3, 3, 2)


def squid() -> Tree:
    images = product(SHORT, (0, 1), (0, 1), ("Fluorescence_405_nm_Ex", "BF_LED_matrix_full"))
    files = [f"run_2024/0/{w}_{f}_{z}_{c}.tiff" for w, f, z, c in images]
    return Tree(files, "run_2024/0/{row}{column}_{site}_{z}_{channel}.tiff", 3, 2, 2, 2)


def micro_manager() -> Tree:
    images = product(SHORT, (0, 1), ("DAPI", "GFP"))
    files = [f"exp_1/{w}-Site_{s}/img_000000000_{c}_000.tif" for w, s, c in images]
    return Tree(files, "exp_1/{row}{column}-Site_{site}/img_000000000_{channel}_000.tif", 3, 2, 2)


def micro_manager_2() -> Tree:
    places = enumerate(product(SHORT, (0, 1)))
    name = "img_channel{c:03}_position{p:03}_time000000000_z000.tif"
    files = [f"exp_1/{w}-Site_{s}/{name.format(c=c, p=p)}" for (p, (w, s)), c in product(places, (0, 1))]
    pattern = "exp_1/{row}{column}-Site_{site}/img_channel{channel}_position*_time000000000_z000.tif"
    return Tree(files, pattern, 3, 2, 2)


def celldiscoverer() -> Tree:
    files = [f"Exp-01_{w}_s{s}c{c}_ORG.tif" for w, s, c in product(WELLS, SITES, (1, 2))]
    return Tree(files, "Exp-01_{well}_s{site}c{channel}_ORG.tif", 4, 3, 2)


def pico() -> Tree:
    files = [f"Plate1_{w}_s{s}_w{c}_z{z}_t1.tif" for w, s, c, z in product(WELLS, SITES, (1, 2), (1, 2))]
    return Tree(files, "Plate1_{well}_s{site}_w{channel}_z{z}_t1.tif", 4, 3, 2, 2)


def batches_and_barcodes() -> Tree:
    plates = (("2024-03-A", "BR1"), ("2024-03-A", "BR2"), ("2024-05-B", "BR3"))
    images = product(plates, WELLS, SITES, ("DAPI", "ConA", "WGA"))
    files = [f"{batch}/{plate}/{w}_f{s}_{c}.tif" for (batch, plate), w, s, c in images]
    return Tree(files, "{experiment}/{plate}/{well}_f{site}_{channel}.tif", 4, 3, 3)


def rows_and_columns() -> Tree:
    images = product(("BR1", "BR2"), "BC", (2, 11), SITES, (1, 2))
    files = [f"{p}/{r}/{c}/img_f{s}_ch{w}.png" for p, r, c, s, w in images]
    return Tree(files, "{plate}/{row}/{column}/img_f{site}_ch{channel}.png", 4, 3, 2)


def running_numbers() -> Tree:
    places = list(enumerate(product("AB", (1, 2, 12)), start=1))
    files = [f"Channel{c}-{n:02}-{r}-{column:02}.tif" for c, (n, (r, column)) in product((1, 2), places)]
    return Tree(files, "Channel{channel}-*-{row}-{column:02}.tif", 6, 1, 2)


def named_places() -> Tree:
    files = [f"{p}/{w}_{s}_{c}.tif" for p, w, s, c in product(("a", "b"), WELLS, ("left", "right"), ("DAPI", "Actin"))]
    return Tree(files, "{plate}/{well}_{site}_{channel}.tif", 4, 2, 2)


def corners_without_stains() -> Tree:
    return Tree([f"{w}-{s}.tif" for w, s in product(WELLS, ("TL", "TR", "BL", "BR"))], "{well}-{site}.tif", 4, 4, 1)


def folders_of_places() -> Tree:
    files = [f"{w}/{s}/{c}.tif" for w, s, c in product(WELLS, ("top left", "centre"), ("GFP", "RFP"))]
    return Tree(files, "{well}/{site}/{channel}.tif", 4, 2, 2)


def small_letters() -> Tree:
    files = [f"b{c:02}_s{s}_dapi.tif" for c, s in product((2, 3), SITES)]
    return Tree(files, "", 2, 3, 1)


def one_row_of_wells() -> Tree:
    files = [f"C{c:02}_s{s}_w1.tif" for c, s in product((2, 3), SITES)]
    return Tree(files, "{well}_s{site}_w1.tif", 2, 3, 1)


TREES: tuple[Callable[[], Tree], ...] = (
    *(operetta, operetta_stacks, metaxpress_database, cellomics, evos, in_cell, gen5, matrix_screener, incucyte),
    *(incucyte_times, nis_jobs, cell_voyager, cq1, squid, micro_manager, micro_manager_2, celldiscoverer, pico),
    *(batches_and_barcodes, rows_and_columns, running_numbers, small_letters, one_row_of_wells),
    *(named_places, corners_without_stains, folders_of_places),
)
