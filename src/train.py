"""Train: ``python src/train.py run`` one model, ``plan`` and ``run-grid`` many, ``rerun`` one again."""

from typing import TYPE_CHECKING, Any, Literal

from rcic.cli import main as cli
from rcic.errors import UserError

if TYPE_CHECKING:
    from rcic.learn.grid.cells import Choice


def run(
    config: str,
    data_root: str,
    log_root: str = "logs",
    channels: list[int] | None = None,
    fold: int | None = None,
    model: str | None = None,
    seed: int | None = None,
    device: str | None = None,
    force: bool = False,
    set: str = "",
) -> None:
    """Run one training into LOG_ROOT/STAGE/CHANNELS/fold_K/MODEL/; a finished one is skipped, a broken-off one goes on.

    Args:
        config: a YAML such as configs/full.yml; it decides the stage.
        data_root: the folder with the screen's CSV files and images.
        log_root: where run folders go; earlier stages are looked for there too.
        channels: the channel set, e.g. [1,2,3,4,5].
        fold: the fold to hold out (no meaning in the control stage).
        model: the network's name.
        seed: of weights, order and augmentation.
        device: auto, cpu or cuda.
        force: train anew although a finished run, or epochs of a broken-off one, are there.
        set: further config values, e.g. --set=schedule.epochs=3,train.batch_size=8.
    """
    from rcic.learn.config.resolve import resolve

    flags = {"channels": channels, "fold": fold, "model": model, "seed": seed, "device": device}
    resolved = resolve(config, set, flags)  # a mistake in it is told before pandas and torch are imported

    from rcic.learn.train.run import train

    with resolved.told():
        train(resolved.config, data_root, log_root, force)


def explain(
    config: str | None = None,
    channels: list[int] | None = None,
    fold: int | None = None,
    model: str | None = None,
    seed: int | None = None,
    device: str | None = None,
    set: str = "",
    markdown: bool = False,
) -> None:
    """Print every value of a config and where it came from; without --config, every key that there is.

    Args:
        config: a YAML such as configs/full.yml.
        channels: as of run.
        fold: as of run.
        model: as of run.
        seed: as of run.
        device: as of run.
        set: as of run.
        markdown: print every key as docs/config.md has it.
    """
    from rcic.learn.config.explain import explain_config, explain_schema, schema_as_markdown
    from rcic.learn.config.resolve import resolve

    flags = {"channels": channels, "fold": fold, "model": model, "seed": seed, "device": device}
    if config is not None and not markdown:
        print(explain_config(resolve(config, set, flags)))
    elif config is not None or set or any(value is not None for value in flags.values()):
        raise UserError("explain: values are explained with --config, and then not as --markdown")
    else:
        print(schema_as_markdown() if markdown else explain_schema())


def plan(
    config: tuple[str, ...],
    data_root: str,
    log_root: str = "logs",
    model: tuple[str, ...] = (),
    folds: tuple[int, ...] = (0, 1, 2, 3, 4),
    channel_sets: str = "",
    set: str = "",
    jobs: int | None = None,
    probe: bool = True,
) -> None:
    """Print how far each training of a grid is, the time and the disk that are left, and the commands. Trains nothing.

    Args:
        config: YAML files, parted by commas, e.g. configs/control.yml,configs/full.yml,configs/pseudo.yml.
        data_root: the folder with the screen's CSV files and images.
        log_root: where run folders are.
        model: networks' names, parted by commas; that of each config if not given.
        folds: the folds, parted by commas.
        channel_sets: channel sets, parted by spaces, e.g. "[1,2,3,4,5] [1,2,3,4,6]"; else all but one channel each.
        set: further config values, as for run.
        jobs: trainings side by side; one a GPU if not given.
        probe: train a few batches of each stage and model first, to measure the time of a site on this machine.
    """
    from rcic.learn.grid.run_grid import show_plan

    show_plan(_choice(config, model, folds, channel_sets, set), data_root, log_root, _words(set), jobs, probe)


def run_grid(
    config: tuple[str, ...],
    data_root: str,
    log_root: str = "logs",
    model: tuple[str, ...] = (),
    folds: tuple[int, ...] = (0, 1, 2, 3, 4),
    channel_sets: str = "",
    set: str = "",
    jobs: int | None = None,
    force: bool = False,
    launcher: Literal["local", "ray", "slurm"] = "local",
    ray_address: str | None = None,
    ray: tuple[str, ...] = (),
    slurm: tuple[str, ...] = (),
) -> None:
    """Carry a grid out: one process a training, side by side; failures are tried once more and do not stop the rest.

    It can be stopped and started at any time: what is done is skipped, what was broken off goes on.

    Args:
        config: YAML files, parted by commas, e.g. configs/control.yml,configs/full.yml.
        data_root: the folder with the screen's CSV files and images.
        log_root: where run folders go.
        model: networks' names, parted by commas; that of each config if not given.
        folds: the folds, parted by commas.
        channel_sets: channel sets, parted by spaces, e.g. "[1,2,3,4,5] [1,2,3,4,6]"; else all but one channel each.
        set: further config values, as for run.
        jobs: trainings side by side; if not given one a GPU, elsewhere all that can begin.
        force: train all of them anew, whatever is there.
        launcher: where trainings run: local processes, ray (a Ray cluster) or slurm (docs/cluster.md).
        ray_address: of the Ray cluster; RAY_ADDRESS, or the one on this machine, if not given.
        ray: what a training asks of Ray, e.g. num_cpus=4,num_gpus=1.
        slurm: what a training asks of SLURM, e.g. partition=gpu,time=600,gpus_per_node=1.
    """
    from rcic.launch.launch_options import Where

    where = Where(launcher, jobs, ray_address, ray, slurm)

    from rcic.learn.grid.run_grid import carry_out

    carry_out(_choice(config, model, folds, channel_sets, set), data_root, log_root, _words(set), where, force)


def rerun(run_dir: str, log_root: str, data_root: str | None = None) -> None:
    """Train once more what a run folder holds, from its own config and the data it names, and compare the weights.

    Args:
        run_dir: a run folder with config.yml and run.json.
        log_root: where the new run folder goes; not the old one's.
        data_root: the screen, if it is elsewhere now.
    """
    from rcic.learn.train.rerun import rerun

    rerun(run_dir, log_root, data_root)


def _choice(
    config: tuple[str, ...], model: tuple[str, ...], folds: tuple[int, ...], channel_sets: str, set: str
) -> "Choice":
    """Return the trainings that the flags name."""
    from rcic.cli.flags import read_value
    from rcic.learn.grid.cells import Choice

    sets: Any = tuple(read_value(part, tuple[int, ...]) for part in channel_sets.split())
    return Choice(config, model, folds, sets, set)


def _words(set: str) -> list[str]:
    return [f"--set={set}"] if set else []


if __name__ == "__main__":
    cli.main({"run": run, "explain": explain, "plan": plan, "run_grid": run_grid, "rerun": rerun})
