#!/usr/bin/env bash
# Versions: ngff-zarr 0.50.0, numpy 2.4.6.
#
# Guess before the run: write_hcs_well_image(field_index=2) and then get_image(field_index=2) give the same field, in
# whatever order the fields were written.
#
# Seen: on writing, the index is the name of the field; on reading, it is the place in the well's list, which has the
# order of writing. Fields written as 2, 0, 1 - as parallel writers do, which the documentation shows - come back as
# get_image(0) = field 2, get_image(1) = field 0, get_image(2) = field 1, without a warning. A well that holds field 5
# alone has no image 5.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet ngff-zarr==0.50.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import ngff_zarr as nz
import numpy as np
from ngff_zarr.hcs import HCSPlate, from_hcs_zarr, to_hcs_zarr, write_hcs_well_image
from ngff_zarr.v04.zarr_metadata import Plate, PlateColumn, PlateRow, PlateWell

wells = [PlateWell(path=f"A/{n + 1}", rowIndex=0, columnIndex=n) for n in range(2)]
columns = [PlateColumn(name="1"), PlateColumn(name="2")]
plate = Plate(name="plate", rows=[PlateRow(name="A")], columns=columns, wells=wells, field_count=3, version="0.4")
to_hcs_zarr(HCSPlate(store="p.zarr", plate_metadata=plate), "p.zarr")
for column, field in (("1", 2), ("1", 0), ("1", 1), ("2", 5)):
    image = nz.to_ngff_image(np.full((16, 16), field, np.uint16), dims=["y", "x"])
    write_hcs_well_image("p.zarr", nz.to_multiscales(image, scale_factors=[]), plate, "A", column, field_index=field)

read = from_hcs_zarr("p.zarr")
fields = [int(np.asarray(read.get_well("A", "1").get_image(n).images[0].data)[0, 0]) for n in range(3)]
other = read.get_well("A", "2")
print(f"get_image(0), (1), (2) of A1: fields {fields}; of A2, which has field 5: get_image(5) {other.get_image(5)}")
assert fields == [2, 0, 1], "the behaviour has changed"
assert other.get_image(5) is None and other.get_image(0) is not None, "the behaviour has changed"
PYTHON
echo "as seen"
