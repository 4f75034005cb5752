"""Write the known plate with another library, in its own environment: ``python writers.py LIBRARY OUT``."""

import sys
from pathlib import Path

from known_plate import CHANNELS, COLOURS, FIELDS, PIXEL_UM, WELLS, image

PLACES = [path.split("/") for path in WELLS]
WINDOW = {"min": 0, "max": 65535, "start": 0, "end": 60001}


def ome_zarr(out: str) -> None:
    """Write with ome-zarr's writer."""
    import zarr
    from ome_zarr.writer import write_image, write_plate_metadata, write_well_metadata
    from ome_zarr_models.common.omero import Omero

    root = zarr.open_group(out, mode="w")
    rows, columns = sorted({row for row, _ in PLACES}), sorted({column for _, column in PLACES})
    write_plate_metadata(root, rows, columns, list(WELLS))
    for path in WELLS:
        well = root.require_group(path)
        write_well_metadata(well, list(FIELDS))
        for field in FIELDS:
            group = well.require_group(field)
            unit = {"y": "micrometer", "x": "micrometer"}
            scale = {"c": 1.0, "y": PIXEL_UM, "x": PIXEL_UM}
            omero = Omero(
                channels=[{"label": n, "color": c, "window": WINDOW} for n, c in zip(CHANNELS, COLOURS, strict=True)]
            )
            write_image(image(path, field), group, axes="cyx", scale=scale, axes_units=unit, omero=omero)


def iohub(out: str, version: str = "0.5") -> None:
    """Write with iohub."""
    from iohub.ngff import open_ome_zarr
    from iohub.ngff.models import TransformationMeta

    with open_ome_zarr(out, layout="hcs", mode="w", channel_names=list(CHANNELS), version=version) as plate:
        for path in WELLS:
            for field in FIELDS:
                position = plate.create_position(*path.split("/"), field)
                scale = TransformationMeta(type="scale", scale=[1.0, 1.0, 1.0, PIXEL_UM, PIXEL_UM])
                position.create_image("0", image(path, field)[None, :, None], transform=[scale])


def iohub_04(out: str) -> None:
    """Write NGFF 0.4 with iohub."""
    iohub(out, "0.4")


def ngff_zarr(out: str, version: str = "0.4") -> None:
    """Write with ngff-zarr."""
    import ngff_zarr as nz

    rows, columns = sorted({row for row, _ in PLACES}), sorted({column for _, column in PLACES})
    plate = nz.Plate(
        columns=[nz.PlateColumn(name=name) for name in columns],
        rows=[nz.PlateRow(name=name) for name in rows],
        wells=[
            nz.PlateWell(path="/".join(p), rowIndex=rows.index(p[0]), columnIndex=columns.index(p[1])) for p in PLACES
        ],
        version=version,
        name="known",
        field_count=len(FIELDS),
    )
    nz.to_hcs_zarr(nz.HCSPlate(out, plate), out)
    for path in WELLS:
        for field in FIELDS:
            scale = {"c": 1.0, "y": PIXEL_UM, "x": PIXEL_UM}
            units = {"y": "micrometer", "x": "micrometer"}
            pixels = nz.to_ngff_image(image(path, field), dims=["c", "y", "x"], scale=scale, axes_units=units)
            multiscales = nz.to_multiscales(pixels, scale_factors=[])
            multiscales.metadata.omero = nz.Omero(
                [nz.OmeroChannel(c, nz.OmeroWindow(**WINDOW), n) for n, c in zip(CHANNELS, COLOURS, strict=True)]
            )
            row, column = path.split("/")
            nz.write_hcs_well_image(out, multiscales, plate, row, column, int(field), version=version)


def ngff_zarr_05(out: str) -> None:
    """Write NGFF 0.5 with ngff-zarr."""
    ngff_zarr(out, "0.5")


def ngio(out: str, version: str = "0.4") -> None:
    """Write with ngio."""
    from ngio import ImageInWellPath, create_empty_plate, create_ome_zarr_from_array

    images = [ImageInWellPath(row=row, column=column, path=field) for row, column in PLACES for field in FIELDS]
    plate = create_empty_plate(out, "known", images, ngff_version=version)
    for row, column in PLACES:
        for field in FIELDS:
            create_ome_zarr_from_array(
                plate.get_image_store(row, column, field),
                image(f"{row}/{column}", field),
                PIXEL_UM,
                axes_names=["c", "y", "x"],
                channels_meta=list(CHANNELS),
                levels=1,
                ngff_version=version,
                overwrite=True,
            )


def ngio_05(out: str) -> None:
    """Write NGFF 0.5 with ngio."""
    ngio(out, "0.5")


def ome_writers(out: str) -> None:
    """Write with ome-writers, plane by plane as a microscope does."""
    import ome_writers as ow

    places = [ow.Position(name=field, plate_row=row, plate_column=column) for row, column in PLACES for field in FIELDS]
    rows, columns = sorted({row for row, _ in PLACES}), sorted({column for _, column in PLACES})
    planes = [image(path, field) for path in WELLS for field in FIELDS]
    sides = [
        ow.Dimension(name=name, count=count, type="space", scale=PIXEL_UM, unit="micrometer")
        for name, count in zip("yx", planes[0].shape[1:], strict=True)
    ]
    channels = [ow.Channel(name=name, color=f"#{colour}") for name, colour in zip(CHANNELS, COLOURS, strict=True)]
    settings = ow.AcquisitionSettings(
        root_path=out,
        dimensions=(
            ow.PositionDimension(coords=places),
            ow.Dimension(name="c", type="channel", coords=channels),
            *sides,
        ),
        dtype="uint16",
        plate=ow.Plate(row_names=rows, column_names=columns, name="known"),
        format="ome-zarr",
    )
    with ow.create_stream(settings) as stream:
        for plane in (plane for planes_of_field in planes for plane in planes_of_field):
            stream.append(plane)


if __name__ == "__main__":
    Path(sys.argv[2]).parent.mkdir(parents=True, exist_ok=True)
    globals()[sys.argv[1]](sys.argv[2])
