"""The sections of the page, each from the sources; a UserError says that, and why, one cannot be made."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from rcic import scoring
from rcic.decide.plate_group import UNSURE
from rcic.errors import UserError
from rcic.files import channel_name
from rcic.screen.describe import describe
from rcic.show.report import answers, audits, embedding, ladders, quality, runs
from rcic.show.report.chart import Chart, Section
from rcic.show.report.sources import Sources
from rcic.show.report.summary import plural


def ladder_section(sources: Sources) -> Section:
    """Return what each step of the method is worth."""
    scores = _scores(sources)
    caption = (
        "Accuracy in % of wells, from one photographed site to the assignment; the number after a bar says what the "
    )
    caption += f"step added. A guess is right in {scores[0].score.ladder.chance:.2g} % of wells."
    chart = Chart("ladder", "What each step is worth", caption, "ladder", ladders.ladder_table(scores))
    lead = " ".join(f"{s.label}: {_from_to(s)}." for s in scores)
    return Section("ladder", "The ladder", lead, [chart])


def parts_section(sources: Sources) -> Section:
    """Return accuracy by cell type, experiment and plate."""
    caption = (
        "Accuracy in % of wells of the chosen step. An experiment far to the left of its cell type's others is one to "
    )
    caption += "look at: its plates are below, well by well."
    kinds = sources.screen.wells.drop_duplicates("experiment").set_index("experiment")["cell_type"].to_dict()
    table = ladders.ladder_table(_scores(sources))
    chart = Chart("parts", "By cell type, experiment and plate", caption, "parts", table, {"cell_types": kinds})
    return Section("parts", "Where it works", "Not every batch is alike: the same networks, told apart.", [chart])


def plates_section(sources: Sources) -> Section:
    """Return plates well by well, and what the wells of all plates have in common."""
    table = sources.plates
    seen = {str(name): _measure(str(name)) for name in table if str(name).split(" ")[0] in quality.MEASURES}
    told = {"right": "answer right or wrong", "confidence": "confidence of the answer"} | seen
    there = {name: text for name, text in told.items() if table[name].notna().any()}
    if not there:
        raise UserError("neither answers nor image quality are known")
    form = sources.screen.form
    plate = {"rows": form.shape[0], "columns": form.shape[1], "wells": list(form.wells), "measures": there}
    caption = "A square is a well, in its place on the plate. Answers are those of the last predictions given. "
    caption += sources.quality.said if seen else ""
    edges = "Mean over plates of the difference from each plate's own mean, treatments only, in the measure's unit. A "
    edges += "frame or a gradient that is seen here is an edge effect: a matter of the place, not of the siRNA."
    charts = [
        Chart("plates", "Plates, well by well", caption, "plates", table, plate),
        Chart("edges", "All plates as one", edges, "edges", answers.edge_table(table, list(there)), plate),
    ]
    return Section("plates", "Plates", "What is wrong in the same place on many plates is not biology.", charts)


def groups_section(sources: Sources) -> Section:
    """Return how surely plates were matched to their group of siRNAs."""
    if len(sources.groups.sizes) < 2:
        raise UserError("the plates of this screen hold no groups of siRNAs")
    table = ladders.group_table(sources.scores) if sources.scores else pd.DataFrame()
    if sources.decision is not None:
        label = f"{Path(sources.given.predict_roots[-1]).name}, test wells"
        table = pd.concat(
            [table, ladders.margins(sources.decision.plates.assign(predictions=label))], ignore_index=True
        )
    if table.empty:
        raise UserError(_NO_SCORE)
    caption = (
        "How much likelier the chosen order of groups on an experiment's plates is than the best one that gives this "
    )
    caption += f"plate another group, in nats. Below {UNSURE:g} nats (the line) the match is unsure."
    chart = Chart("groups", "Margins of the plate groups", caption, "groups", table, {"unsure": UNSURE})
    return Section(
        "groups", "Plate groups", "Which group of siRNAs a plate holds decides which answers are allowed.", [chart]
    )


def confidence_section(sources: Sources) -> Section:
    """Return whether confidence meets accuracy."""
    scores = _scores(sources)
    caption = (
        "Answers in bins of equal confidence: their mean confidence, and the share that is right. On the diagonal "
    )
    caption += "confidence can be believed; above it the answers are better than they say. Larger dots hold more wells."
    chart = Chart("reliability", "Confidence and truth", caption, "reliability", ladders.reliability_table(scores))
    errors = ", ".join(f"{s.label} {100 * s.score.ladder.calibration_error:.2f} %" for s in scores)
    return Section("confidence", "Confidence", f"Expected calibration error: {errors}.", [chart])


def confusion_section(sources: Sources) -> Section:
    """Return which siRNAs of a group are taken for which."""
    if not sources.last:
        raise UserError(_NO_SCORE)
    table = answers.confusion_table(sources.screen, sources.last, sources.groups)
    if table.empty:
        raise UserError("no siRNA was taken for another of its group")
    caption = "Wells of one siRNA (row) whose likeliest siRNA within the plate's group is another (column), before the "
    caption += f"assignment. The most confused siRNAs of the group; the table has the {len(table):,} commonest pairs."
    chart = Chart("confusions", "What is taken for what", caption, "confusions", table)
    return Section(
        "confusions", "Confusions", "Pairs that are often confused may look alike to the cells, too.", [chart]
    )


def channels_section(sources: Sources) -> Section:
    """Return what each channel is worth."""
    if not sources.given.predict_roots:
        raise UserError(_NO_SCORE)
    split = "test" if any(scored.split == "test" for scored in sources.last) else "valid"
    given = sources.given
    truth, models = (given.truth if split == "test" else None), given.ensemble.models
    table = scoring.channels(given.data_root, given.predict_roots[-1], split, truth, models)
    names = (table["channel"].astype("str") + " " + table["name"]).str.strip()
    table = table.assign(channel=names).drop(columns="name")[table["n_wells"] > 0]
    caption = (
        "Accuracy that is lost without a channel, before any mask: models trained without it against those trained "
    )
    caption += "with it. The whisker is one standard error over wells; it knows nothing of other seeds."
    chart = Chart("channels", "What a channel is worth", caption, "channels", table)
    where = "test wells" if split == "test" else "held-out wells"
    return Section("channels", "Channels", f"On {where}, in points of % of wells.", [chart])


def map_section(sources: Sources) -> Section:
    """Return the map of embeddings."""
    if not sources.given.embed_root:
        raise UserError("no --embed_root was given")
    root = Path(sources.given.embed_root)
    member = embedding.first_member(root)
    sources.say(f"map of {root / member.folder}")
    table = embedding.map_table(sources.screen, root, member, sources.groups, sources.given.map_wells)
    name = f"{member.model}, channels {channel_name(member.channels)}, fold {member.fold}"
    caption = f"{len(table):,} wells as {name} sees them, by PCA and t-SNE; near means alike, distances between "
    caption += "clusters mean little. Left as they come, right with each plate's mean taken off: what a batch has in common is gone."
    chart = Chart("map", "Wells by likeness", caption, "map", table)
    lead = "If colours part by experiment, the network sees the batch; if they part by siRNA, it sees the treatment."
    return Section("map", "Embeddings", lead, [chart])


def curves_section(sources: Sources) -> Section:
    """Return the training curves."""
    table = runs.curve_table(sources.runs, sources.screen)
    caption = "A line is a training. Choose what is drawn and which runs; of stage I the classes are controls, so its "
    caption += "accuracy is not to be compared with the other stages'."
    chart = Chart("curves", "Epoch by epoch", caption, "curves", table)
    return Section("curves", "Training curves", "Scores are of held-out wells, all sites of a well averaged.", [chart])


def runs_section(sources: Sources) -> Section:
    """Return what was trained, how, how long and on what."""
    found = sources.runs
    charts = [
        Chart(
            "runs", "Trainings", "Each run folder's run.json; minutes include pauses.", "runs", runs.run_table(found)
        ),
        Chart("machines", "Machine and versions", "What run.json tells of them.", "table", runs.machine_table(found)),
    ]
    if len(configs := runs.config_table(found)):
        caption = "Keys of config.yml that differ between stages or runs; channels, folds and models stand above."
        charts.insert(1, Chart("configs", "Key differences", caption, "table", configs))
    hours = sum(minutes for run in found if (minutes := runs.minutes(run)) > 0) / 60
    return Section("runs", "Runs", f"{plural(len(found), 'training')}, {hours:.1f} hours of processes in all.", charts)


def audit_section(sources: Sources) -> Section:
    """Return what the audit found."""
    if not sources.given.audit_dir:
        raise UserError("no --audit_dir was given")
    facts = audits.read_facts(Path(sources.given.audit_dir))
    table = audits.found_table(facts)
    caption = "Bad images by plate and kind."
    charts = [Chart("audit", "Bad images", caption, "audit", table)] if len(table) else []
    return Section("audit", "Audit of the images", audits.verdict(facts), charts)


def screen_section(sources: Sources) -> Section:
    """Return the facts of the screen."""
    facts = describe(sources.screen)
    rows = [(split, *(facts[f"{split}_{key}"] for key in _COUNTS)) for split in ("train", "test")]
    table = pd.DataFrame(rows, columns=["split", "experiments", "plates", "treatment wells", "control wells"])
    groups = len(facts["group_sizes"])
    held = f"plates hold one of {groups} groups of siRNAs" if groups > 1 else "plates hold no groups of siRNAs"
    lead = f"{facts['treatments']:,} treatments and {facts['controls']:,} controls; {held}; "
    lead += f"{plural(facts['plates_with_missing_wells'], 'train plate')} lack wells."
    return Section("screen", "The screen", lead, [Chart("screen-table", "Wells", "By split.", "table", table)])


class Part(NamedTuple):
    """A section, what the page calls it where it is left out, and the command that would make it."""

    make: Callable[[Sources], Section]
    what: str
    command: str


_PREDICT = (
    "python src/inference.py predict-all --data_root {data} --model_root LOG/STAGE --model_name MODEL --out_dir P"
)
_TRAIN = "python src/train.py run-grid --config CONFIG --data_root {data} --log_root LOG"
_EMBED = "python src/inference.py embed-all --data_root {data} --model_root LOG/STAGE --model_name MODEL --out_dir E"
PARTS = (
    Part(ladder_section, "The ladder", _PREDICT),
    Part(parts_section, "Accuracy by cell type, experiment and plate", _PREDICT),
    Part(plates_section, "Plates", _PREDICT),
    Part(groups_section, "Plate groups", _PREDICT),
    Part(confidence_section, "Confidence", _PREDICT),
    Part(confusion_section, "Confusions", _PREDICT),
    Part(channels_section, "Channels", "CHANNEL_SETS=all bash bin/train.sh"),
    Part(map_section, "Embeddings", _EMBED),
    Part(curves_section, "Training curves", _TRAIN),
    Part(runs_section, "Runs", _TRAIN),
    Part(audit_section, "Audit of the images", "python src/data.py audit --data_root {data}"),
    Part(screen_section, "The screen", ""),
)

_NO_SCORE = "no predictions whose truth is known"
_COUNTS = ("experiments", "plates", "wells", "control_wells")


def _scores(sources: Sources) -> list[ladders.Scored]:
    if not sources.scores:
        raise UserError(_NO_SCORE)
    return sources.scores


def _from_to(scored: ladders.Scored) -> str:
    """Return where a ladder begins and ends."""
    table = scored.score.ladder.table
    whole = table[(table["scope"] == "all") & (table["n_wells"] > 0)]
    return f"{whole['rung'].iloc[0]} {whole['accuracy'].iloc[0]:.2f} %, assignment {scored.accuracy():.2f} %"


def _measure(name: str) -> str:
    """Return what a quality column shows: ``"mean 1 nucleus"`` -> ``"1 nucleus: mean grey level, 0 to 255"``."""
    kind, _, channel = name.partition(" ")
    return f"{channel}: {quality.MEASURES[kind]}"
