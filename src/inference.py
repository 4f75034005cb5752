"""Predict, decide and score: ``python src/inference.py predict-all | calibrate | ensemble | ... | score``."""

from pathlib import Path
from typing import Literal

from rcic.cli import main as cli
from rcic.launch.command import JOBS
from rcic.launch.launch_options import FLAGS, Where
from rcic.launch.shards import Jobs, read_part


def predict_all(
    data_root: str,
    model_root: str,
    model_name: tuple[str, ...],
    out_dir: str,
    splits: tuple[Literal["test", "valid"], ...] = ("test", "valid"),
    device: Literal["auto", "cpu", "cuda"] = "auto",
    batch_size: int = 64,
    workers: int = 0,
    at_once: int | None = None,
    drop_incomplete: bool = False,
    tta: tuple[str, ...] = (),
    audit_dir: str = "csv/audit",
    jobs: int | None = None,
    launcher: Literal["local", "ray", "slurm"] = "local",
    ray_address: str | None = None,
    ray: tuple[str, ...] = (),
    slurm: tuple[str, ...] = (),
    part: str | None = None,
) -> None:
    """Write OUT_DIR/[1,2,3,4,5]/fold_K/MODEL/pred_test.npy for every trained member; what is there is skipped.

    Args:
        data_root: the folder with the screen's CSV files and images.
        model_root: the run folders of a stage, e.g. logs/pseudo.
        model_name: the network's name, or several: a,b; NAME@ for all cell types' own models of that name.
        out_dir: where the predictions go.
        splits: test, and valid for each member's held-out wells (they make the honest score).
        device: auto, cpu or cuda.
        batch_size: sites at once.
        workers: threads that read images ahead.
        at_once: networks in memory at once, which share one reading of the images; as many as fit if not given.
        drop_incomplete: leave out sites that lack a channel instead of stopping.
        tta: views to average, e.g. identity,hflip,rot90; those of each training's config if not given.
        audit_dir: where data.py audit wrote: bad images are not read. Without an audit all are, and a line says so.
        jobs: into how many jobs the work is divided; without it there is none, everything is done here.
        launcher: where jobs run: local processes, ray (a Ray cluster) or slurm (docs/cluster.md).
        ray_address: of the Ray cluster; RAY_ADDRESS, or the one on this machine, if not given.
        ray: what a job asks of Ray, e.g. num_cpus=4,num_gpus=1.
        slurm: what a job asks of SLURM, e.g. partition=gpu,time=600,gpus_per_node=1.
        part: do a share of the work only, e.g. 2/4, as each job does; the call without it completes the whole.
    """
    _check_sizes(batch_size, workers, at_once)
    where = Where(launcher, jobs, ray_address, ray, slurm)
    share = read_part(part, where)
    own = Jobs(cli.own_words(FLAGS), where, Path(out_dir) / JOBS, with_gpus=device != "cpu")

    from rcic.learn.predict.device import pick_device
    from rcic.learn.predict.passes import Options
    from rcic.learn.predict.predict_all import predict_all

    here = pick_device(device) if launcher == "local" else "cpu"  # the GPUs may be elsewhere
    options = Options(here, batch_size, workers, at_once, drop_incomplete, tta, audit_dir)
    predict_all(data_root, model_root, model_name, out_dir, splits, options, share, own)


def embed_all(
    data_root: str,
    model_root: str,
    model_name: tuple[str, ...],
    out_dir: str,
    splits: tuple[Literal["train", "valid", "test"], ...] = ("train", "valid", "test"),
    device: Literal["auto", "cpu", "cuda"] = "auto",
    batch_size: int = 64,
    workers: int = 0,
    at_once: int | None = None,
    drop_incomplete: bool = False,
    tta: tuple[str, ...] = (),
    audit_dir: str = "csv/audit",
    jobs: int | None = None,
    launcher: Literal["local", "ray", "slurm"] = "local",
    ray_address: str | None = None,
    ray: tuple[str, ...] = (),
    slurm: tuple[str, ...] = (),
    part: str | None = None,
) -> None:
    """Write OUT_DIR/[1,2,3,4,5]/fold_K/MODEL/emb_train.npy ... for every trained member; what is there is skipped.

    Args:
        data_root: the folder with the screen's CSV files and images.
        model_root: the run folders of a stage, e.g. logs/full.
        model_name: the network's name, or several: a,b; NAME@ for all cell types' own models of that name.
        out_dir: where the embeddings go.
        splits: train for the wells each member learnt from, valid for its held-out wells, test.
        device: auto, cpu or cuda.
        batch_size: sites at once.
        workers: threads that read images ahead.
        at_once: networks in memory at once, which share one reading of the images; as many as fit if not given.
        drop_incomplete: leave out sites that lack a channel instead of stopping.
        tta: views to average, e.g. identity,hflip,rot90; those of each training's config if not given.
        audit_dir: where data.py audit wrote: bad images are not read. Without an audit all are, and a line says so.
        jobs: into how many jobs the work is divided; without it there is none, everything is done here.
        launcher: where jobs run: local processes, ray (a Ray cluster) or slurm (docs/cluster.md).
        ray_address: of the Ray cluster; RAY_ADDRESS, or the one on this machine, if not given.
        ray: what a job asks of Ray, e.g. num_cpus=4,num_gpus=1.
        slurm: what a job asks of SLURM, e.g. partition=gpu,time=600,gpus_per_node=1.
        part: do a share of the work only, e.g. 2/4, as each job does; the call without it completes the whole.
    """
    _check_sizes(batch_size, workers, at_once)
    where = Where(launcher, jobs, ray_address, ray, slurm)
    share = read_part(part, where)
    own = Jobs(cli.own_words(FLAGS), where, Path(out_dir) / JOBS, with_gpus=device != "cpu")

    from rcic.learn.predict.device import pick_device
    from rcic.learn.predict.embed_all import embed_all
    from rcic.learn.predict.passes import Options

    here = pick_device(device) if launcher == "local" else "cpu"  # the GPUs may be elsewhere
    options = Options(here, batch_size, workers, at_once, drop_incomplete, tta, audit_dir)
    embed_all(data_root, model_root, model_name, out_dir, splits, options, share, own)


def neighbours(
    data_root: str,
    embed_root: str,
    out_dir: str,
    kind: Literal["knn", "centres"] = "knn",
    k: tuple[str, ...] = (),
    centred: Literal["plate", "off"] = "plate",
    scale: float | None = None,
    model_names: tuple[str, ...] = (),
) -> None:
    """Write what wells say that lie near by embedding, as predictions of a model MODEL+knn (or MODEL+centres).

    Args:
        data_root: the folder with the screen's CSV files.
        embed_root: where embed-all wrote.
        out_dir: where the predictions go; in predict-all's folder they blend with the networks' own.
        kind: the vote of the nearest train wells of the same cell type, or cosines to class centres.
        k: how many vote, one number or e.g. HUVEC=100,RPE=30; else 100 HUVEC, 15 U2OS, 30 of others.
        centred: plate takes each plate's mean off its embeddings, off leaves them.
        scale: the factor of cosines to centres, 30 if not given.
        model_names: only these models, e.g. a,b (NAME@: all of NAME's cell types); all if not given.
    """
    from rcic.profiles.neighbours import Likeness, neighbours

    neighbours(data_root, embed_root, out_dir, Likeness(kind, k, centred, scale), model_names)


def calibrate(data_root: str, predict_root: str, model_names: tuple[str, ...] = ()) -> None:
    """Fit temperatures and weights of models on held-out wells, and write them as PREDICT_ROOT/calibration.json.

    Args:
        data_root: the folder with the screen's CSV files.
        predict_root: where predict-all wrote; its pred_valid files are read.
        model_names: only these models, e.g. a,b (NAME@: all of NAME's cell types); all if not given.
    """
    from rcic.ensemble import calibration

    result, notes = calibration.calibrate(data_root, predict_root, model_names)
    print("\n".join([*notes, "", calibration.calibration_text(result)]))
    path = Path(predict_root) / "calibration.json"
    calibration.write_calibration(result, path)
    print(f"\n{path}: for the flag --calibration of ensemble, pseudo-label and score")


def ensemble(
    data_root: str,
    predict_root: str,
    out_dir: str,
    model_names: tuple[str, ...] = (),
    weights: tuple[float, ...] = (),
    calibration: str | None = None,
    sinkhorn: bool = False,
) -> None:
    """Average all members, match plates to groups, assign, and write submission.csv, confidence.csv, groups.csv.

    Args:
        data_root: the folder with the screen's CSV files.
        predict_root: where predict-all wrote; folders of other programs' pred_test.npy + pred_test.csv count too.
        out_dir: where the three files go.
        model_names: only these models, e.g. a,b (NAME@: all of NAME's cell types); all if not given.
        weights: one a model, e.g. 2,1.
        calibration: the file that calibrate wrote: temperatures and weights of models, confidence to be believed.
        sinkhorn: balance each plate before the assignment; confidence then knows what its other wells want.
    """
    from rcic.decide.plate_group import groups_text
    from rcic.ensemble.decision import decide
    from rcic.ensemble.predictions import Ensemble
    from rcic.ensemble.submission import write_submission

    decision = decide(data_root, predict_root, Ensemble(model_names, weights, calibration, sinkhorn))
    print("\n".join([*decision.notes, "", groups_text(decision.plates), ""]))
    path = write_submission(decision, out_dir)
    sure = decision.answers["confidence"]
    print(f"{path}: {len(sure):,} wells, median confidence {sure.median():.2f}")


def pseudo_label(
    data_root: str,
    predict_root: str,
    out_dir: str = "csv/pseudo",
    folds_dir: str = "csv",
    min_margin: float = 0.0,
    share: float = 1.0,
    model_names: tuple[str, ...] = (),
    weights: tuple[float, ...] = (),
    calibration: str | None = None,
    sinkhorn: bool = False,
) -> None:
    """Write the ensemble's surest answers on test wells as training labels: pseudo.csv, and audit.csv on every well.

    Args:
        data_root: the folder with the screen's CSV files.
        predict_root: where predict-all wrote.
        out_dir: where the two files go.
        folds_dir: the folds; a well of any validation fold is refused.
        min_margin: nats by which an answer must beat the next allowed one.
        share: at most this part of a plate's wells, the surest first.
        model_names: only these models, e.g. a,b (NAME@: all of NAME's cell types); all if not given.
        weights: one a model, e.g. 2,1.
        calibration: the file that calibrate wrote; margins are then calibrated ones.
        sinkhorn: balance each plate before the assignment.
    """
    from rcic.ensemble.decision import decide
    from rcic.ensemble.predictions import Ensemble
    from rcic.ensemble.submission import write_pseudo

    decision = decide(data_root, predict_root, Ensemble(model_names, weights, calibration, sinkhorn))
    audit = write_pseudo(decision, out_dir, folds_dir, min_margin, share)
    print("\n".join(decision.notes))
    for reason, count in audit["reason"].value_counts().items():
        print(f"{count:7,} wells: {reason}")
    print(f"{Path(out_dir) / 'pseudo.csv'}: {audit['kept'].sum():,} of {len(audit):,} test wells")


def score(
    data_root: str,
    predict_root: str,
    truth: str | None = None,
    split: Literal["test", "valid"] = "test",
    out_dir: str | None = None,
    model_names: tuple[str, ...] = (),
    weights: tuple[float, ...] = (),
    calibration: str | None = None,
    sinkhorn: bool = False,
) -> None:
    """Print the ladder of accuracies, one site to assignment, and write it as OUT_DIR/ladder.json.

    Args:
        data_root: the folder with the screen's CSV files.
        predict_root: where predict-all wrote.
        truth: a CSV with id_code,sirna of test wells; not needed where the screen's own tables tell.
        split: test, or valid for the held-out wells of the folds (then the file is ladder_valid.json).
        out_dir: where the file goes; PREDICT_ROOT if not given.
        model_names: only these models, e.g. a,b (NAME@: all of NAME's cell types); all if not given.
        weights: one a model, e.g. 2,1.
        calibration: the file that calibrate wrote; on --split=valid it flatters, as it was fitted on these wells.
        sinkhorn: balance each plate before the assignment.
    """
    from rcic.decide.ladder import ladder_text
    from rcic.ensemble import scoring
    from rcic.ensemble.predictions import Ensemble

    chosen = Ensemble(model_names, weights, calibration, sinkhorn)
    result = scoring.score(data_root, predict_root, split, truth, chosen)
    print("\n".join([*result.notes, "", ladder_text(result.ladder), scoring.score_text(result)]))
    path = Path(out_dir or predict_root) / ("ladder.json" if split == "test" else "ladder_valid.json")
    facts = {"split": split, "predict_root": predict_root, "calibration": calibration, "sinkhorn": sinkhorn}
    scoring.write_ladder(result, path, facts)


def channels(
    data_root: str,
    predict_root: str,
    truth: str | None = None,
    split: Literal["test", "valid"] = "test",
    out_dir: str | None = None,
    model_names: tuple[str, ...] = (),
) -> None:
    """Print the accuracy lost when a channel is absent, by cell type, and write it as OUT_DIR/channels.csv.

    Args:
        data_root: the folder with the screen's CSV files.
        predict_root: where predict-all wrote the predictions of several channel sets that lack one channel each.
        truth: a CSV with id_code,sirna of test wells; not needed where the screen's own tables tell.
        split: test, or valid for the held-out wells of the folds (then the file is channels_valid.csv).
        out_dir: where the file goes; PREDICT_ROOT if not given.
        model_names: only these models, e.g. a,b (NAME@: all of NAME's cell types); all if not given.
    """
    from rcic.decide.channels import importance_text
    from rcic.ensemble import scoring

    table = scoring.channels(data_root, predict_root, split, truth, model_names)
    print(importance_text(table))
    name = "channels.csv" if split == "test" else "channels_valid.csv"
    scoring.write_channels(table, Path(out_dir or predict_root) / name)


def _check_sizes(batch_size: int, workers: int, at_once: int | None) -> None:
    for flag, number, least in (("batch_size", batch_size, 1), ("workers", workers, 0), ("at_once", at_once, 1)):
        if number is not None:
            cli.check_least(f"--{flag}", number, least)


COMMANDS = (predict_all, embed_all, neighbours, calibrate, ensemble, pseudo_label, score, channels)

if __name__ == "__main__":
    cli.main({command.__name__: command for command in COMMANDS})
