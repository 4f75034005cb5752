"""The sections of the page, each made from the sources; a UserError tells why a section cannot be made."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import yaml

from rcic.decide.plate_group import UNSURE
from rcic.ensemble import scoring
from rcic.errors import UserError, plural
from rcic.files.names import channel_name
from rcic.report import answer_tables as answers
from rcic.report import audit_facts as audits
from rcic.report import embedding_map as embedding
from rcic.report import ladders, quality
from rcic.report import training_runs as runs
from rcic.report.chart import Chart, Section
from rcic.report.page import asset
from rcic.report.profile_charts import CONTROL_MEASURES, control_table, controls_lead, dose_table, with_networks
from rcic.report.sources import ReportSources
from rcic.screen.describe import describe
from rcic.screen.plate_area import area_wells, plate_area


class NothingToShow(UserError):
    """A section that this screen cannot have, whatever is run."""


def ladder_section(sources: ReportSources) -> Section:
    """Return the gain of each step of the method."""
    scores = _scores(sources)
    summary = " ".join(f"{scored.label}: {_ends(scored)}." for scored in sources.last)
    rungs = scores[0].overall["rung"]
    steps = f", from {rungs.iloc[0]} to {rungs.iloc[-1]}" if len(rungs) > 1 else ""
    facts: dict[str, Any] = {"steps": steps, "chance": scores[0].score.ladder.chance}
    charts = [_chart("ladder", ladders.ladder_table(scores), **facts)]
    if len(doses := dose_table(scores)):
        charts.append(_chart("doses", doses))
    return _section("ladder", charts, summary=summary)


def parts_section(sources: ReportSources) -> Section:
    """Return accuracy by cell type, experiment and plate."""
    table = ladders.ladder_table(_scores(sources))
    levels = _levels(table)
    if not levels:
        raise NothingToShow("the scored wells are of one plate, so there is nothing to compare it with")
    kinds = sources.screen.wells.drop_duplicates("experiment").set_index("experiment")["cell_type"].to_dict()
    given = {"cell_types": kinds, "levels": levels, "plates": ladders.plate_parts(sources.scores)}
    by = ", ".join(levels.values())
    return _section("parts", [_chart("parts", table, given, by=" and ".join(by.rsplit(", ", 1)))])


def plates_section(sources: ReportSources) -> Section:
    """Return plates well by well, and the position effects common to all plates."""
    table, spec = sources.plates, sources.screen.spec
    area = plate_area(spec, sources.screen.wells["well"])
    image_measures = {str(name): _measure(str(name)) for name in table if str(name).split(" ")[0] in quality.MEASURES}
    measures = {"right": "answer right or wrong", "confidence": "confidence of the answer"} | image_measures
    known = {name: text for name, text in measures.items() if table[name].notna().any()}
    if not known:
        raise UserError("neither answers nor image quality are known")
    wells = area_wells(spec, area)
    plate = {"rows": area.rows, "columns": area.columns, "wells": wells, "measures": known}
    note = sources.quality.note if image_measures else ""
    one = len(table[["experiment", "plate"]].drop_duplicates()) == 1
    edges = _chart("edge" if one else "edges", answers.edge_table(table, list(known)), plate)
    return _section("plate" if one else "plates", [_chart("plates", table, plate, quality=note), edges])


def groups_section(sources: ReportSources) -> Section:
    """Return the margins of the plates' matches to their treatment groups."""
    if len(sources.groups.sizes) < 2:
        raise NothingToShow("the plates of this screen hold no treatment groups")
    tables = [ladders.group_table(sources.scores)] if sources.scores else []
    if sources.decision is not None:
        label = f"{Path(sources.given.options.predict_root[-1]).name}, test wells"
        matched = ladders.named_plates(sources.screen, sources.decision.plates)
        tables.append(ladders.group_verdicts(matched.assign(predictions=label)))
    if not tables:
        raise UserError(_NO_SCORE)
    table = pd.concat(tables, ignore_index=True)
    return _section("groups", [_chart("groups", table, {"unsure": UNSURE}, unsure=UNSURE)])


def confidence_section(sources: ReportSources) -> Section:
    """Return the reliability of confidence."""
    scores = _scores(sources)
    errors = ", ".join(f"{s.label} {100 * s.score.ladder.calibration_error:.2f}\u00a0%" for s in scores)
    return _section("confidence", [_chart("reliability", ladders.reliability_table(scores))], errors=errors)


def confusion_section(sources: ReportSources) -> Section:
    """Return the confused treatments of each group."""
    if not sources.last:
        raise UserError(_NO_SCORE)
    table = answers.confusion_table(sources.screen, sources.last, sources.groups)
    if table.empty:
        raise NothingToShow("no treatment was confused with another of its group")
    title, groups = sources.screen.spec.label_title, sources.groups
    within = " within the plate's group" if len(groups.sizes) > 1 else ""
    before = ", before the assignment" if groups.assigned else ""
    facts = {"label": title, "within": within, "before": before, "pairs": len(table)}
    return _section("confusions", [_chart("confusions", table, {"label": title}, **facts)])


def channels_section(sources: ReportSources) -> Section:
    """Return the importance of each channel."""
    if not sources.last:
        raise UserError(_NO_SCORE)
    given, split = sources.given, sources.last[0].split  # test where its truth is known
    truth = given.options.truth if split == "test" else None
    table = scoring.channels(
        sources.screen, given.options.predict_root[-1], split, truth, given.ensemble.model_names, keep=True
    ).table
    names = (table["channel"].astype("str") + " " + table["name"]).str.strip()
    table = table.assign(channel=names).drop(columns="name")[table["n_wells"] > 0]
    wells = "test wells" if split == "test" else "held-out wells"
    return _section("channels", [_chart("channels", table)], wells=wells)


def map_section(sources: ReportSources) -> Section:
    """Return the map of embeddings."""
    if not sources.given.options.embed_root:
        raise UserError("no --embed_root was given")
    root = Path(sources.given.options.embed_root)
    member = embedding.first_member(root)
    sources.say(f"map of {root / member.folder}")
    table = embedding.map_table(sources.screen, root, member, sources.groups, sources.given.options.map_wells)
    network = f"{member.model}, channels {channel_name(member.channels)}, fold {member.fold},"
    title = sources.screen.spec.label_title
    chart = _chart("map", table, {"label": title}, wells=len(table), network=network)
    return _section("map", [chart], sees=_seen(table, title))


def profiles_section(sources: ReportSources) -> Section:
    """Return the quality of controls by plate, and the correlation and retrieval of replicates."""
    scores = sources.profiles
    charts = [_chart("replicates", with_networks(scores.replicates))]
    if len(controls := control_table(sources.screen, scores)):
        charts.insert(0, _chart("controls", controls, {"measures": CONTROL_MEASURES}))
    if len(scores.retrieved):
        charts.append(_chart("retrieval", with_networks(scores.retrieved), label=sources.screen.spec.label_title))
    return _section("profiles", charts, summary=controls_lead(scores))


def curves_section(sources: ReportSources) -> Section:
    """Return the training curves."""
    note = ""
    if len({run.stage for run in sources.runs}) > 1 and any(run.stage == CONTROLS_STAGE for run in sources.runs):
        note = " The classes of stage I are controls, so its accuracy is not comparable with that of the other stages."
    return _section("curves", [_chart("curves", runs.curve_table(sources.runs, sources.screen), stages=note)])


def runs_section(sources: ReportSources) -> Section:
    """Return the trainings with their configs, durations and machines."""
    trained = sources.runs
    charts = [_chart("runs", runs.run_table(trained)), _chart("machines", runs.machine_table(trained))]
    if len(configs := runs.config_table(trained)):
        charts.insert(1, _chart("configs", configs))
    hours = sum(minutes for run in trained if (minutes := runs.minutes(run)) > 0) / 60
    return _section("runs", charts, trainings=plural(len(trained), "training"), hours=hours)


def audit_section(sources: ReportSources) -> Section:
    """Return the findings of the audit."""
    if sources.screen.spec.images.none:
        raise NothingToShow("the screen has profiles, no images")
    if sources.audit_dir is None:
        raise UserError("no --audit_dir was given")
    facts = audits.read_facts(sources.audit_dir)
    table = audits.found_table(facts)
    return _section("audit", [_chart("audit", table)] if len(table) else [], summary=audits.verdict(facts))


def screen_section(sources: ReportSources) -> Section:
    """Return the facts of the screen."""
    facts = describe(sources.screen)
    splits = [split for split in ("train", "test") if facts[f"{split}_plates"]]
    rows = [(split, *(facts[f"{split}_{key}"] for key in _COUNTS)) for split in splits]
    table = pd.DataFrame(rows, columns=["split", "experiments", "plates", "treatment wells", "control wells"])
    groups = len(facts["group_sizes"])
    groups_note = (
        f"each plate holds one of {groups} treatment groups" if groups > 1 else "plates hold no treatment groups"
    )
    controls = plural(facts["controls"], "control") if facts["controls"] else "no controls"
    lead = f"{plural(facts['treatments'], 'treatment')} and {controls}; {groups_note}"
    if short := facts["plates_with_missing_wells"]:
        lead += f"; {plural(short, 'train plate')} {'lacks' if short == 1 else 'lack'} wells"
    return _section("screen", [_chart("wells", table)], summary=f"{lead}.")


class SectionPart(NamedTuple):
    """A section's function, its name in the list of left-out sections, and the command that provides its input."""

    make: Callable[[ReportSources], Section]
    what: str
    command: str


_PREDICT = "{inference} predict-all --data_root {root} --model_root LOG/STAGE --model_name M --out_dir P"
_TRAIN = "{train} run-grid --config CONFIG --data_root {root} --log_root LOG"
_EMBED = "{inference} embed-all --data_root {root} --model_root LOG/STAGE --model_name M --out_dir E"
SECTIONS = (
    SectionPart(ladder_section, "The ladder", _PREDICT),
    SectionPart(parts_section, "Accuracy by cell type, experiment and plate", _PREDICT),
    SectionPart(plates_section, "Plates", _PREDICT),
    SectionPart(groups_section, "Plate groups", _PREDICT),
    SectionPart(confidence_section, "Confidence", _PREDICT),
    SectionPart(confusion_section, "Confusions", _PREDICT),
    SectionPart(channels_section, "Channels", _PREDICT),
    SectionPart(map_section, "Embeddings", _EMBED),
    SectionPart(profiles_section, "Controls and replicates", _EMBED),
    SectionPart(curves_section, "Training curves", _TRAIN),
    SectionPart(runs_section, "Runs", _TRAIN),
    SectionPart(audit_section, "Audit of the images", "{data} audit --data_root {root}"),
    SectionPart(screen_section, "The screen", ""),
)

CONTROLS_STAGE = "controls"  # stage I
_NO_SCORE = "no predictions of wells with known truth"
_LEVELS = {"cell_type": "cell types", "experiment": "experiments", "plate": "plates"}
_COUNTS = ("experiments", "plates", "wells", "control_wells")
_MANY = {"plate": "plates", "edge": "edges"}  # texts for one plate -> the section or chart
_TABLES = ("configs", "machines", "wells", "doses", "replicates", "retrieval")  # charts that are a table only


@cache
def _words() -> dict[str, dict[str, dict[str, str]]]:
    """Return the page's texts, from words.yml."""
    return dict(yaml.safe_load(asset("words.yml")))


def _section(name: str, charts: Sequence[Chart], **facts: Any) -> Section:
    """Return a section with its texts; ``facts`` are filled in. A section of one plate has the name of that of many."""
    words = _words()["sections"][name]
    return Section(name=_MANY.get(name, name), title=words["title"], lead=words["lead"].format(**facts), charts=charts)


def _chart(name: str, table: pd.DataFrame, options: dict[str, Any] | None = None, **facts: Any) -> Chart:
    """Return a chart with its texts; ``facts`` are filled in."""
    words, name = _words()["charts"][name], _MANY.get(name, name)
    kind = "table" if name in _TABLES else name
    return Chart(
        name=name,
        title=words["title"].format(**facts),
        caption=words["caption"].format(**facts),
        kind=kind,
        table=table,
        options=options or {},
    )


def _scores(sources: ReportSources) -> list[ladders.Scored]:
    if not sources.scores:
        raise UserError(_NO_SCORE)
    return sources.scores


def _ends(scored: ladders.Scored) -> str:
    """Return the first and the last accuracy of a ladder, as text."""
    first = scored.overall.iloc[0]
    ends = f"{first['rung']} {first['accuracy']:.2f}\u00a0%"
    if len(scored.overall) == 1:
        return ends
    return f"{ends}, {scored.last_rung} {scored.accuracy():.2f}\u00a0%"


def _seen(table: pd.DataFrame, label: str) -> str:
    """Return how to read a map of embeddings: by batches, where there are several, and by labels."""
    batch = next((name for name in ("experiment", "plate") if table[name].nunique() > 1), None)
    if batch is None:
        return f"If wells of one {label} lie together, the network sees what it does to cells, or where it lies."
    seen = f"If colours separate by {batch}, the network sees the batch"
    return f"{seen}; if they separate by {label}, it sees the biology."


def _levels(table: pd.DataFrame) -> dict[str, str]:
    """Return the scopes to compare parts of a screen by, with their names: those with more than one part."""
    counts = table[table["scope"] != "all"].groupby("scope")["value"].nunique()
    if counts.get("plate") == counts.get("experiment"):
        counts["plate"] = 1  # every experiment is one plate
    return {scope: name for scope, name in _LEVELS.items() if counts.get(scope, 0) > 1}


def _measure(name: str) -> str:
    """Return the text of a quality column: ``"mean 1 nucleus"`` -> ``"1 nucleus: mean grey level, 0 to 255"``."""
    kind, _, channel = name.partition(" ")
    return f"{channel}: {quality.MEASURES[kind]}"
