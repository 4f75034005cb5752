#!/usr/bin/env bash
# Versions: phenixio 0.0.1, scikit-image 0.26.0 (which phenixio imports without asking for it).
#
# Guess before the run: an Opera Phenix export with two wells has num_wells 2, whichever version of Harmony wrote it,
# or the reader says that it does not know the version.
#
# Seen: Harmony changed the XML namespace of its index from version to version. The reader knows that of HarmonyV7
# alone, and with those of V5 and V6 it opens the export without complaint and counts 0 wells. An image that is asked
# for is "not found". (An index that is named Index.idx.xml, as some exports have it, is not looked for.)
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet phenixio==0.0.1 scikit-image==0.26.0
mkdir "$work/Images"
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import pathlib

from phenixio.reader import PhenixReader

INDEX = """<?xml version="1.0" encoding="utf-8"?>
<EvaluationInputData xmlns="{namespace}" Version="1">
  <Plates><Plate><PlateID>demo</PlateID><Well id="0202" /><Well id="0203" /></Plate></Plates>
  <Images><Image Version="1"><id>0202K1F1P1R1</id><URL>r02c02f01p01-ch1sk1fk1fl1.tiff</URL></Image></Images>
</EvaluationInputData>
"""
namespaces = {
    "V5": "http://www.perkinelmer.com/PEHH/HarmonyV5",
    "V6": "http://www.perkinelmer.com/PEHH/HarmonyV6",
    "V7": "43B2A954-E3C3-47E1-B392-6635266B0DD3/HarmonyV7",
}
for version, namespace in namespaces.items():
    pathlib.Path("Images/Index.xml").write_text(INDEX.format(namespace=namespace))
    reader = PhenixReader(".")
    try:
        image = reader.get_image_metadata(2, 2, 1)["URL"]
    except AttributeError as error:
        image = str(error)
    print(f"Harmony{version}: {reader.num_wells} wells; image: {image}")
    assert reader.num_wells == (2 if version == "V7" else 0), "the behaviour has changed"
    assert image.endswith(".tiff") == (version == "V7"), "the behaviour has changed"
PYTHON
echo "as seen"
