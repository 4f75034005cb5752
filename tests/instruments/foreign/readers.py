"""Read a plate with another library, in its own environment: ``python readers.py LIBRARY PLATE OUT.npz``.

OUT.npz gets an array (C, H, W) for each site, by its path B/02/1, and the names of the channels as ``channels``.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

Found = tuple[Mapping[str, np.ndarray], list[str]]


def _plate(path: str) -> dict:
    return json.loads((Path(path) / "zarr.json").read_text())["attributes"]["ome"]["plate"]


def _sites(path: str) -> list[str]:
    """Return the path of every site, from the metadata alone."""
    found = []
    for well in _plate(path)["wells"]:
        text = (Path(path) / well["path"] / "zarr.json").read_text()
        found += [f"{well['path']}/{one['path']}" for one in json.loads(text)["attributes"]["ome"]["well"]["images"]]
    return found


def _cut(path: str, mosaic: np.ndarray) -> dict[str, np.ndarray]:
    """Return the wells of a picture (C, H, W) of the whole plate, each with the name of its first site."""
    plate = _plate(path)
    rows, columns = ([entry["name"] for entry in plate[kind]] for kind in ("rows", "columns"))
    height, width = mosaic.shape[-2] // len(rows), mosaic.shape[-1] // len(columns)
    found = {}
    for site in _sites(path):
        row, column, _ = site.split("/")
        top, left = height * rows.index(row), width * columns.index(column)
        if not any(known.startswith(f"{row}/{column}/") for known in found):
            found[site] = mosaic[:, top : top + height, left : left + width]
    return found


def ome_zarr(path: str) -> Found:
    """Read the whole plate as one picture with ome-zarr's reader."""
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    (node,) = [node for node in Reader(parse_url(path))() if node.data]
    (image, *_) = Reader(parse_url(f"{path}/{_sites(path)[0]}"))()
    return _cut(path, np.asarray(node.data[0])), image.metadata["channel_names"]


def napari_ome_zarr(path: str) -> Found:
    """Read the whole plate as napari's layers."""
    from napari_ome_zarr import napari_get_reader

    layers = napari_get_reader(path)(path)
    mosaic = np.stack([np.asarray(data[0]) for data, _, _ in layers])
    return _cut(path, mosaic), [layer["name"].rpartition(": ")[2] for _, layer, _ in layers]


def ngff_zarr(path: str) -> Found:
    """Read every site with ngff-zarr."""
    import ngff_zarr as nz

    plate = nz.from_hcs_zarr(path, validate=True)
    found, names = {}, []
    for well in plate.wells:
        opened = plate.get_well(*well.path.split("/"))
        for number, one in enumerate(opened.images):
            multiscales = opened.get_image(number)
            found[f"{well.path}/{one.path}"] = np.asarray(multiscales.images[0].data)
            names = [channel.label for channel in multiscales.metadata.omero.channels]
    return found, names


def ngio(path: str) -> Found:
    """Read every site with ngio."""
    from ngio import open_ome_zarr_plate

    images = open_ome_zarr_plate(path).get_images()
    found = {name: image.get_image().get_as_numpy(axes_order=["c", "y", "x"]) for name, image in images.items()}
    return found, list(next(iter(images.values())).channel_labels)


def iohub(path: str) -> Found:
    """Read every site with iohub."""
    from iohub.ngff import open_ome_zarr

    with open_ome_zarr(path, layout="hcs", mode="r") as plate:
        found = {name: np.asarray(position["0"][:]) for name, position in plate.positions()}
        names = list(plate.channel_names)
    return found, names


def bioio(path: str) -> Found:
    """Read every site with bioio, whose reader has to be named: the folder of a site does not end with .zarr."""
    from bioio import BioImage
    from bioio_ome_zarr import Reader

    found, names = {}, []
    for site in _sites(path):
        image = BioImage(f"{path}/{site}", reader=Reader)
        found[site], names = image.get_image_data("CYX"), list(image.channel_names)
    return found, names


def bioio_plate(path: str) -> Found:
    """Read the plate with bioio."""
    from bioio import BioImage

    image = BioImage(path)
    return {scene: image.get_image_data("CYX") for scene in image.scenes}, list(image.channel_names)


def tensorstore(path: str) -> Found:
    """Read every site's array with tensorstore, which knows Zarr and nothing of plates."""
    import tensorstore as ts

    found = {}
    for site in _sites(path):
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path}/{site}/0/"}}
        found[site] = np.asarray(ts.open(spec, read=True).result().read().result())
    return found, []


def zarr(path: str) -> Found:
    """Read every site's array with zarr-python."""
    import zarr as package

    root = package.open_group(path, mode="r")
    return {site: root[f"{site}/0"][:] for site in _sites(path)}, []


if __name__ == "__main__":
    arrays, channels = globals()[sys.argv[1]](sys.argv[2])
    np.savez(sys.argv[3], channels=np.array(channels, dtype=str), **arrays)
