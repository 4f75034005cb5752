"""Random screens as tables: what a user could have, in both of Kaggle's forms."""

from hypothesis import assume
from hypothesis import strategies as st

from rcic.screen.plate import WELLS, id_code

PLACE = ["id_code", "experiment", "plate", "well"]
COLUMNS = {
    "train.csv": [*PLACE, "sirna"],
    "test.csv": PLACE,
    "train_controls.csv": [*PLACE, "sirna", "well_type"],
    "test_controls.csv": [*PLACE, "sirna", "well_type"],
}
CONTROLS = {"positive_control": ("900", "901"), "negative_control": ("990",)}

Row = dict[str, str]
Tables = dict[str, list[Row]]


@st.composite
def kaggle_tables(draw: st.DrawFn) -> Tables:
    """Return the rows of the four tables, in any order, siRNAs as integers (2019) or names (2023).

    Those with a few numbers far from the others are left out: `rcic.screen.checks.check_range` takes them for slips.
    """
    name = (lambda label: label) if draw(st.booleans()) else (lambda label: f"sirna_{label}")
    kinds = draw(st.lists(st.sampled_from(["HUVEC", "RPE", "U2OS", "a b.c", "é"]), min_size=2, max_size=4))
    experiments = [f"{kind}-{number:02d}" for number, kind in enumerate(kinds, start=1)]
    n_train = draw(st.integers(1, len(experiments) - 1))
    tables: Tables = {file: [] for file in COLUMNS}
    for number, experiment in enumerate(experiments):
        split = "train" if number < n_train else "test"
        for plate in range(1, draw(st.integers(1, 2)) + 1):
            wells = draw(st.lists(st.sampled_from(WELLS), min_size=2, max_size=6, unique=True))
            kind = draw(st.sampled_from(sorted(CONTROLS)))
            control = {"sirna": name(draw(st.sampled_from(CONTROLS[kind]))), "well_type": kind}
            tables[f"{split}_controls.csv"].append(_row(experiment, plate, wells[0]) | control)
            for well in wells[1:]:
                sirna = {"sirna": name(str(draw(st.integers(0, 30))))} if split == "train" else {}
                tables[f"{split}.csv"].append(_row(experiment, plate, well) | sirna)
    labels = [int(row["sirna"].removeprefix("sirna_")) for row in tables["train.csv"]]
    far = sum(label >= 2 * len(set(labels)) for label in labels)
    assume(far == 0 or far > 0.1 * len(labels))
    return {file: draw(st.permutations(rows)) for file, rows in tables.items()}


def csv_text(rows: list[Row], columns: list[str], end: str = "\n") -> str:
    """Return rows as a CSV with the columns in this order."""
    return end.join([",".join(columns), *(",".join(row[column] for column in columns) for row in rows)]) + end


def _row(experiment: str, plate: int, well: str) -> Row:
    code = id_code(experiment, plate, well)
    return {"id_code": code, "experiment": experiment, "plate": str(plate), "well": well}
