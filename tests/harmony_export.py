"""Exports of Harmony as an Opera Phenix leaves them: index, stacks of z planes, blobs that grow with the treatment."""

from pathlib import Path

import numpy as np
import tifffile

N_PIXELS = 64
WELLS = tuple(f"{row}{column:02}" for row in "BC" for column in (2, 3, 11))
LABELS = ("DMSO", "taxol", "aspirin")  # of the wells in turns, another first on each plate
_ROOT = '\ufeff<EvaluationInputData Version="1" xmlns="http://www.perkinelmer.com/PEHH/HarmonyV5">'
_PLATE = "<PlateID>{0}</PlateID><Name>{0}</Name><PlateRows>8</PlateRows><PlateColumns>12</PlateColumns>"
_FACTS = "<ImageSizeX>64</ImageSizeX><ImageSizeY>64</ImageSizeY><MaxIntensity>65535</MaxIntensity>"


def label_of(plate: int, well: str) -> str:
    """Return the label of a well of a plate, numbered from 0."""
    return LABELS[(WELLS.index(well) + plate) % len(LABELS)]


def write_measurement(root: Path, barcode: str, plate: int, number: int = 1, wells: tuple[str, ...] = WELLS) -> Path:
    """Write a measurement of a plate with one field, two channels and two z planes; return its folder."""
    folder = root / f"{barcode}__2024-05-0{number}T10_11_1{plate}-Measurement {number}" / "Images"
    folder.mkdir(parents=True)
    images = []
    for well in wells:
        for channel, name in ((1, "DAPI"), (2, "Alexa 488")):
            for z in (1, 2):
                place = f"r{ord(well[0]) - 64:02}c{well[1:]}"
                file = f"{place}f01p{z:02}-ch{channel}sk1fk1fl1.tiff"
                tifffile.imwrite(folder / file, _image(plate, well, channel, z + 10 * number))
                where = f"<Row>{ord(well[0]) - 64}</Row><Col>{int(well[1:])}</Col><FieldID>1</FieldID>"
                which = f"<PlaneID>{z}</PlaneID><TimepointID>0</TimepointID><ChannelID>{channel}</ChannelID>"
                images.append(
                    f"<Image><id>x</id><URL>{file}</URL>{where}{which}<ChannelName>{name}</ChannelName>{_FACTS}</Image>"
                )
    plates = f"<Plates><Plate>{_PLATE.format(barcode)}</Plate></Plates>"
    text = f"{_ROOT}{plates}<Images>{''.join(images)}</Images></EvaluationInputData>"
    (folder / "Index.idx.xml").write_text(text, encoding="utf-8")
    return folder.parent


def write_screen(root: Path, barcodes: tuple[str, ...] = ("BR01", "BR02")) -> Path:
    """Write a measurement of each plate, and a table of their wells; return the data root."""
    rows = ["Barcode,Well,Compound"]
    for plate, barcode in enumerate(barcodes):
        write_measurement(root, barcode, plate)
        rows += [f"{barcode},{well},{label_of(plate, well)}" for well in WELLS]
    (root / "plate map.csv").write_text("\n".join(rows) + "\n")
    return root


def _image(plate: int, well: str, channel: int, seed: int) -> np.ndarray:
    """Return an image (64, 64) uint16: noise, and a blob whose size tells the label."""
    random = np.random.default_rng([plate, WELLS.index(well), channel, seed])
    y, x = np.mgrid[:N_PIXELS, :N_PIXELS] - N_PIXELS / 2
    width = 4 + 6 * LABELS.index(label_of(plate, well))
    blob = 2000 * np.exp(-(x**2 + y**2) / (2 * width**2))
    return (200 + blob + random.normal(0, 20, blob.shape)).astype(np.uint16)
