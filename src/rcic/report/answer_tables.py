"""Tables of the answers: by well with confidence and truth, by plate, edge effects, and confused pairs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rcic.ensemble.decision import Decision
from rcic.report.ladders import Scored, named_plates
from rcic.screen.layout import Groups
from rcic.screen.table import Screen

MOST_PAIRS = 2000  # confused pairs in the page, the most common first


def answer_table(screen: Screen, scores: Sequence[Scored], decision: Decision | None) -> pd.DataFrame:
    """Return the answered wells, each once: id_code, truth, answer, right and confidence.

    Truth and answer are treatments, "" if unknown; right is 0, 1 or NaN. ``scores`` are of one prediction folder;
    ``decision`` has the test wells of unknown truth.
    """
    tables = []
    for scored in scores:
        wells = scored.score.wells
        names = {"truth": screen.decode(wells["label"]), "answer": screen.decode(wells["answer"])}
        tables.append(wells[["id_code", "confidence"]].assign(**names, right=wells["assignment"]))
    if decision is not None:
        wells = decision.answers
        unscored = wells[["id_code", "confidence"]].assign(truth="", right=np.nan)
        tables.append(unscored.assign(answer=screen.decode(wells["label"])))
    columns = ["id_code", "truth", "answer", "right", "confidence"]
    if not tables:
        return pd.DataFrame(columns=columns)
    table = pd.concat(tables, ignore_index=True).drop_duplicates("id_code", ignore_index=True)[columns]
    return table.astype({"truth": "str", "answer": "str"})


def plate_table(screen: Screen, answers: pd.DataFrame, quality: pd.DataFrame) -> pd.DataFrame:
    """Return the wells of all experiments with answers or quality, with a column for each quantity to colour by.

    ``answers`` is that of `answer_table`; ``quality`` has id_code and a column a measure. Wells are sorted by plate;
    ``plate`` is the plate's name.
    """
    wells = screen.wells[["id_code", "experiment", "cell_type", "plate", "well", "split", "well_type"]]
    table = wells.merge(answers, how="left", on="id_code").merge(quality, how="left", on="id_code")
    known = set(table["experiment"][table["id_code"].isin([*answers["id_code"], *quality["id_code"]])])
    table = table[table["experiment"].isin(known)].fillna({"truth": "", "answer": ""})
    table = table.drop(columns="id_code").sort_values(["experiment", "plate"], kind="stable", ignore_index=True)
    return named_plates(screen, table)


def edge_table(plates: pd.DataFrame, measures: Sequence[str]) -> pd.DataFrame:
    """Return for each measure and well position the mean over plates of the difference from the plate's own mean.

    ``plates`` as `plate_table` returns it; treatments only, as controls are in the same wells on many plates.
    Columns: measure, well, difference, n_plates.
    """
    treated = plates[plates["well_type"] == "treatment"]
    tables = []
    for measure in measures:
        known = treated[treated[measure].notna()]
        plate_mean = known.groupby(["experiment", "plate"])[measure].transform("mean")
        gap = (known[measure] - plate_mean).groupby(known["well"])
        by_well = gap.agg(["mean", "count"]).reset_index().set_axis(["well", "difference", "n_plates"], axis=1)
        tables.append(by_well.assign(measure=measure))
    return pd.concat(tables, ignore_index=True)[["measure", "well", "difference", "n_plates"]]


def confusion_table(screen: Screen, scores: Sequence[Scored], groups: Groups) -> pd.DataFrame:
    """Return the confused treatments of each group: group, truth, answer, wells, of (wells of that truth).

    The answer is the most probable treatment of the plate's group, before the assignment. Right answers are left out,
    as are wells whose plate was matched to another group. The most common pairs come first, at most
    :data:`MOST_PAIRS`.
    """
    wells = pd.concat([scored.score.wells for scored in scores])
    truth, first = wells["label"].to_numpy(), wells["first"].to_numpy()
    same_group = groups.of_class[truth] == groups.of_class[first]
    pairs = pd.DataFrame({"group": groups.of_class[truth], "label": truth, "first": first})[same_group]
    totals = pairs.groupby("label").size()
    wrong = (
        pairs[pairs["label"] != pairs["first"]].groupby(["group", "label", "first"]).size().reset_index(name="wells")
    )
    wrong = wrong.sort_values(["wells", "label", "first"], ascending=[False, True, True]).head(MOST_PAIRS)
    names = {"truth": screen.decode(wrong["label"]), "answer": screen.decode(wrong["first"])}
    table = wrong.assign(**names, of=totals.loc[wrong["label"]].to_numpy())
    return table[["group", "truth", "answer", "wells", "of"]].reset_index(drop=True)
