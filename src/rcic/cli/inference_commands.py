"""From trained models to answers: ``rcic predict-all | embed-all | neighbours | ensemble | ... | score``."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from rcic.cli.main import own_words
from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.launch.command import JOBS
from rcic.launch.launch_options import LAUNCH_FLAGS, LaunchOptions
from rcic.launch.shards import ShardJobs, read_shard
from rcic.learn.predict.prediction_options import PredictionOptions
from rcic.profiles.neighbour_options import NeighbourSettings
from rcic.screen.source import ScreenSource


def predict_all(
    source: ScreenSource,
    options: PredictionOptions,
    launch: LaunchOptions,
    model_root: str,
    model_name: tuple[str, ...],
    out_dir: str,
    splits: tuple[Literal["test", "valid"], ...] = ("test", "valid"),
    part: str | None = None,
) -> None:
    """Write OUT_DIR/[1,2,3,4,5]/fold_K/MODEL/pred_test.npy for every trained member; existing predictions are skipped.

    Args:
        model_root: the run folders of a stage, e.g. logs/pseudo.
        model_name: the architecture, or several: a,b; NAME@ for all cell types' own models of that name.
        out_dir: where the predictions go.
        splits: test, and valid for each member's held-out wells (needed for score --split=valid).
        part: do a share of the work only, e.g. 2/4, as each job does; the call without it completes the whole.
    """
    shard = read_shard(part, launch)
    jobs = _jobs(options, launch, out_dir)

    from rcic.learn.predict.predict_all import predict_all

    predict_all(source, model_root, model_name, out_dir, splits, _here(options, launch), shard, jobs)


def embed_all(
    source: ScreenSource,
    options: PredictionOptions,
    launch: LaunchOptions,
    model_root: str,
    model_name: tuple[str, ...],
    out_dir: str,
    splits: tuple[Literal["train", "valid", "test", "controls"], ...] = ("train", "valid", "test", "controls"),
    part: str | None = None,
) -> None:
    """Write OUT_DIR/[1,2,3,4,5]/fold_K/MODEL/emb_train.npy ... for every trained member; existing ones are skipped.

    Args:
        model_root: the run folders of a stage, e.g. logs/full.
        model_name: the architecture, or several: a,b; NAME@ for all cell types' own models of that name.
        out_dir: where the embeddings go.
        splits: train for the wells each member was trained on, valid for its held-out wells, test, and controls for
            the controls of all plates.
        part: do a share of the work only, e.g. 2/4, as each job does; the call without it completes the whole.
    """
    shard = read_shard(part, launch)
    jobs = _jobs(options, launch, out_dir)

    from rcic.learn.predict.embed_all import embed_all

    embed_all(source, model_root, model_name, out_dir, splits, _here(options, launch), shard, jobs)


def neighbours(
    source: ScreenSource, settings: NeighbourSettings, embed_root: str, out_dir: str, model_names: tuple[str, ...] = ()
) -> None:
    """Classify wells by their nearest embeddings, and write the scores as predictions of MODEL+knn (or MODEL+centres).

    Args:
        embed_root: where embed-all wrote.
        out_dir: where the predictions go; in predict-all's folder they blend with the networks' own.
        model_names: only these models, e.g. a,b (NAME@: all of NAME's cell types); all if not given.
    """
    from rcic.profiles.neighbours import neighbours

    neighbours(source, embed_root, out_dir, settings, model_names)


def calibrate(source: ScreenSource, predict_root: str, model_names: tuple[str, ...] = ()) -> None:
    """Fit temperatures and weights of models on held-out wells, and write them as PREDICT_ROOT/calibration.json.

    Args:
        predict_root: where predict-all wrote; its pred_valid files are read.
        model_names: only these models, e.g. a,b (NAME@: all of NAME's cell types); all if not given.
    """
    from rcic.ensemble.calibration import calibrate, calibration_text, write_calibration

    result, notes = calibrate(source, predict_root, model_names)
    print("\n".join([*notes, "", calibration_text(result)]))
    path = Path(predict_root) / "calibration.json"
    write_calibration(result, path)
    print(f"\n{path}: for the flag --calibration of ensemble, pseudo-label and score")


def ensemble(source: ScreenSource, options: EnsembleOptions, predict_root: str, out_dir: str) -> None:
    """Average all members, match plates to groups, assign, and write submission.csv, confidence.csv, groups.csv.

    Args:
        predict_root: where predict-all wrote; folders of other programs' pred_test.npy + pred_test.csv count too.
        out_dir: where the three files go.
    """
    from rcic.decide.plate_group import groups_text
    from rcic.ensemble.decision import decide_once
    from rcic.ensemble.submission import write_submission
    from rcic.screen.table import read_screen

    decision = decide_once(read_screen(source), predict_root, options)
    has_groups = bool(decision.plates["group"].any())  # without sets of treatments all plates are of group 0
    print("\n".join([*decision.notes, "", *([groups_text(decision.plates, options.match), ""] if has_groups else [])]))
    path = write_submission(decision, out_dir)
    confidence = decision.answers["confidence"]
    print(f"{path}: {len(confidence):,} wells, median confidence {confidence.median():.2f}")


def pseudo_label(
    source: ScreenSource,
    options: EnsembleOptions,
    predict_root: str,
    out_dir: str = "auto",
    folds_dir: str = "auto",
    min_margin: float = 0.0,
    share: float = 1.0,
    quota: Literal["plate", "screen"] = "plate",
) -> None:
    """Write the ensemble's surest answers on test wells as training labels: pseudo.csv, and audit.csv on every well.

    Args:
        predict_root: where predict-all wrote.
        out_dir: where the two files go; auto is pseudo in the screen's work folder.
        folds_dir: the folds; a well of any validation fold is refused. auto is the screen's work folder.
        min_margin: the least margin in nats of an answer over the next allowed one.
        share: the largest fraction of a plate's wells, e.g. 0.5, the surest first.
        quota: count the share on each plate, or over the whole screen, so that sure plates are labelled first.
    """
    from rcic.ensemble.decision import decide_once
    from rcic.ensemble.submission import write_pseudo
    from rcic.learn.data.stage_table import PSEUDO_RECORD
    from rcic.screen.table import read_screen
    from rcic.screen.work_dir import FOLDS_DIR, PSEUDO_DIR, place_in, place_to_write

    decision = decide_once(read_screen(source), predict_root, options)
    folder = place_to_write(decision.screen, out_dir, PSEUDO_DIR, PSEUDO_RECORD, "pseudo-labels")
    folds = place_in(decision.screen, folds_dir, FOLDS_DIR)
    audit = write_pseudo(decision, folder, folds, min_margin, share, quota)
    print("\n".join(decision.notes))
    for reason, count in audit["reason"].value_counts().items():
        print(f"{count:7,} wells: {reason}")
    print(f"{folder / 'pseudo.csv'}: {audit['kept'].sum():,} of {len(audit):,} test wells")


def score(
    source: ScreenSource,
    options: EnsembleOptions,
    predict_root: str,
    truth: str | None = None,
    split: Literal["test", "valid"] = "test",
    out_dir: str | None = None,
    embed_root: str | None = None,
) -> None:
    """Print the ladder of accuracies, one site to assignment, and write it as OUT_DIR/ladder.json.

    With --split=valid, a calibrated error is too optimistic, because the calibration was fitted on these wells.

    Args:
        predict_root: where predict-all wrote.
        truth: a CSV with id_code and label (titled as in the screen's tables, or sirna) of test wells; not needed
            where these have the labels.
        split: test, or valid for the held-out wells of the folds (then the file is ladder_valid.json); these, too, if
            the screen has no test wells.
        out_dir: where the file goes; PREDICT_ROOT if not given.
        embed_root: where embed-all wrote: controls and replicates are scored, too, and retrieval.csv is written.
    """
    from rcic.decide.ladder import ladder_text
    from rcic.ensemble.scoring import score, score_text, with_embeddings, write_ladder

    result = score(source, predict_root, split, truth, options, keep=True)
    print("\n".join([*result.notes, "", ladder_text(result.ladder), score_text(result)]))
    out, end = Path(out_dir or predict_root), "" if result.split == "test" else "_valid"
    facts: dict[str, object] = {"split": result.split, "predict_root": predict_root, "embed_root": embed_root}
    facts |= {"calibration": options.calibration, "sinkhorn": options.sinkhorn, "decision": options.chosen()}
    if embed_root is not None:
        from rcic.profiles.profile_scores import profile_scores, profile_text, write_retrieval

        profiles = profile_scores(source, embed_root, result.split, truth, options.model_names, keep=True)
        print(f"\n{profile_text(profiles)}")
        result, facts = with_embeddings(result, profiles.origin), facts | profiles.plain()
        if len(profiles.retrieval):
            write_retrieval(profiles, out / f"retrieval{end}.csv")
    write_ladder(result, out / f"ladder{end}.json", facts)


def channels(
    source: ScreenSource,
    predict_root: str,
    truth: str | None = None,
    split: Literal["test", "valid"] = "test",
    out_dir: str | None = None,
    model_names: tuple[str, ...] = (),
) -> None:
    """Print the accuracy lost when a channel is absent, by cell type, and write it as OUT_DIR/channels.csv.

    Args:
        predict_root: where predict-all wrote the predictions of several channel sets that lack one channel each.
        truth: a CSV with id_code and label (titled as in the screen's tables, or sirna) of test wells; not needed
            where these have the labels.
        split: test, or valid for the held-out wells of the folds (then the file is channels_valid.csv).
        out_dir: where the file goes; PREDICT_ROOT if not given.
        model_names: only these models, e.g. a,b (NAME@: all of NAME's cell types); all if not given.
    """
    from rcic.decide.channels import importance_text
    from rcic.ensemble.scoring import channels, write_channels

    scores = channels(source, predict_root, split, truth, model_names, keep=True)
    print("\n".join([*scores.notes, "", importance_text(scores.table)]))
    name = "channels.csv" if scores.split == "test" else "channels_valid.csv"
    write_channels(scores, Path(out_dir or predict_root) / name)


def _jobs(options: PredictionOptions, launch: LaunchOptions, out_dir: str) -> ShardJobs:
    return ShardJobs(own_words(LAUNCH_FLAGS), launch, Path(out_dir) / JOBS, with_gpus=options.device != "cpu")


def _here(options: PredictionOptions, launch: LaunchOptions) -> PredictionOptions:
    """Return the options for this process: where jobs run elsewhere, so may the GPUs be."""
    return options if launch.launcher == "local" else replace(options, device="cpu")


COMMANDS = (predict_all, embed_all, neighbours, calibrate, ensemble, pseudo_label, score, channels)
