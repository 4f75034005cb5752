"""The page's data as plain JSON values: the screen, a plate, a well, its nearest wells."""

import math
from typing import Any

from rcic.browse.catalogue import Catalogue
from rcic.browse.nearest_wells import Nearest
from rcic.screen.plate_area import plate_area

NEAREST = 8  # nearest wells to show


def screen_view(catalogue: Catalogue, nearest: Nearest | None, name: str) -> dict[str, Any]:
    """Return the facts of the whole screen: its plate shape, channels, experiments, filters and sources."""
    spec, wells = catalogue.screen.spec, catalogue.screen.wells
    area = plate_area(spec, wells["well"])
    plates = wells[["experiment", "plate", "split", "cell_type"]].drop_duplicates().groupby("experiment", sort=False)
    return {
        "name": name,
        **area._asdict(),
        "label": spec.label_title,
        "pixel_um": spec.images.pixel_um,
        "cell_types": int(wells["cell_type"].nunique()),
        "has_tests": bool((wells["split"] == "test").any()),
        "sites": list(spec.sites),
        "site_names": {str(site): spec.site_name(site) for site in spec.sites},
        "channels": [
            {"number": number, "name": channel.name, "colour": channel.colour}
            for number, channel in zip(spec.channel_numbers, spec.channels, strict=True)
        ],
        "experiments": [
            {
                "name": str(experiment),
                "cell_type": members["cell_type"].iloc[0],
                "split": members["split"].iloc[0],
                "plates": [
                    {"number": plate, "name": catalogue.screen.barcode(str(experiment), plate)}
                    for plate in members["plate"].tolist()
                ],
            }
            for experiment, members in plates
        ],
        "filters": {name: len(rows) for name, rows in catalogue.chosen.items()},
        "has_answers": bool((catalogue.answers.label >= 0).any()),
        "min_margin": catalogue.min_margin,
        "member": nearest.member if nearest else None,
    }


def plate_view(catalogue: Catalogue, experiment: str, plate: int) -> dict[str, Any]:
    """Return a plate's wells with their positions and states."""
    group, margin = catalogue.answers.groups.get((experiment, plate), (None, None))
    return {
        "experiment": experiment,
        "plate": plate,
        "name": catalogue.screen.barcode(experiment, plate),
        "group": group,
        "group_margin": finite(margin),
        "wells": [_spot(catalogue, row) for row in catalogue.plates[experiment, plate].values()],
    }


def well_view(catalogue: Catalogue, row: int, chosen: str) -> dict[str, Any]:
    """Return the facts of a well, and the wells before and after it in a filter."""
    well, answers = catalogue.columns, catalogue.answers
    position, before, after = catalogue.around(row, chosen)
    top = zip(answers.top[row].tolist(), answers.chances[row].tolist(), strict=True)
    bad = catalogue.bad_images.get(well["id_code"][row])
    columns = ["site", "channel", "kind", "detail"]
    return {
        **_well(catalogue, row),
        "cell_type": well["cell_type"][row],
        "split": well["split"][row],
        "type": well["well_type"][row],
        "margin": finite(float(answers.margin[row])),
        "top": [
            {
                "label": _name(catalogue, label),
                "chance": chance,
                "is_answer": label == int(answers.label[row]),
                "is_truth": label == int(catalogue.truth[row]),
            }
            for label, chance in top
            if label >= 0
        ],
        "controls": [_well(catalogue, other) | {"type": kind} for kind, other in catalogue.controls_of(row).items()],
        "bad_images": [] if bad is None else bad[columns].to_dict("records"),
        "filter": {
            "name": chosen,
            "place": position,
            "total": len(catalogue.chosen[chosen]),
            "before": None if before is None else _well(catalogue, before),
            "after": None if after is None else _well(catalogue, after),
        },
    }


def nearest_view(catalogue: Catalogue, nearest: Nearest, row: int) -> dict[str, Any]:
    """Return the nearest wells with their cosine; ``wells`` is None for a well that was not embedded."""
    found = nearest.of(row, NEAREST)
    wells = [_well(catalogue, other) | {"cosine": cosine} for other, cosine in found or []]
    return {"member": nearest.member, "wells": None if found is None else wells}


def finite(number: float | None) -> float | None:
    """Return a number as JSON allows it: None for NaN and infinity."""
    return number if number is not None and math.isfinite(number) else None


def _well(catalogue: Catalogue, row: int) -> dict[str, Any]:
    """Return a well's name, state, truth and answer."""
    well, answers = catalogue.columns, catalogue.answers
    return {
        "experiment": well["experiment"][row],
        "plate": well["plate"][row],
        "plate_name": catalogue.screen.barcode(well["experiment"][row], well["plate"][row]),
        "well": well["well"][row],
        "state": str(catalogue.states[row]),
        "unsure": bool(catalogue.unsure[row]),
        "bad": bool(catalogue.bad[row]),
        "truth": _name(catalogue, int(catalogue.truth[row])),
        "answer": _name(catalogue, int(answers.label[row])),
        "confidence": finite(float(answers.confidence[row])),
    }


def _spot(catalogue: Catalogue, row: int) -> dict[str, Any]:
    """Return a well's facts in the plate map."""
    name = catalogue.columns["well"][row]
    plate_row, column = catalogue.screen.spec.position(name)
    state, unsure, bad = (table[row] for table in (catalogue.states, catalogue.unsure, catalogue.bad))
    return {
        "well": name,
        "row": plate_row,
        "column": column,
        "state": str(state),
        "unsure": bool(unsure),
        "bad": bool(bad),
        "label": _name(catalogue, int(catalogue.truth[row])),
    }


def _name(catalogue: Catalogue, label: int) -> str | None:
    """Return a class's name, None for label -1."""
    return str(catalogue.screen.classes[label]) if label >= 0 else None
