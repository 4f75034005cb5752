"""Training: ``rcic train run`` one model, ``plan`` and ``run-grid`` many, ``rerun`` one again, ``explain`` a config."""

from rcic.errors import UserError
from rcic.launch.launch_options import LaunchOptions
from rcic.learn.config.training_options import TrainingOptions
from rcic.learn.grid.grid_options import GridOptions
from rcic.screen.source import ScreenSource


def run(
    config: str, source: ScreenSource, options: TrainingOptions, log_root: str = "logs", force: bool = False
) -> None:
    """Run one training into LOG_ROOT/STAGE/CHANNELS/fold_K/MODEL/; skip a finished one, resume an interrupted one.

    Args:
        config: a YAML file, or the name of a shipped config such as full or recipes/best.full; it decides the stage.
        log_root: where run folders go; earlier stages are looked for there too.
        force: retrain from scratch; a finished training is replaced when the new one is done, an interrupted one now.
    """
    from rcic.learn.config.resolve import resolve

    resolved = resolve(config, options.set, options.flags)  # before pandas and torch are imported

    from rcic.learn.train.run import train

    with resolved.locating_errors():
        train(resolved.config, source, log_root, force)


def explain(options: TrainingOptions, config: str | None = None, markdown: bool = False) -> None:
    """Print every value of a config and where it came from; without --config, every key that there is.

    Args:
        config: a YAML file, or the name of a shipped config such as full or recipes/best.full.
        markdown: print every key as docs/config.md has it.
    """
    from rcic.learn.config.explain import explain_config, explain_schema, schema_as_markdown
    from rcic.learn.config.resolve import resolve

    if config is not None and not markdown:
        print(explain_config(resolve(config, options.set, options.flags)))
    elif config is not None or options != TrainingOptions():
        raise UserError("explain: values are explained with --config, and then not as --markdown")
    else:
        print(schema_as_markdown() if markdown else explain_schema())


def plan(
    options: GridOptions, source: ScreenSource, log_root: str = "logs", jobs: int | None = None, probe: bool = True
) -> None:
    """Show the state of each training, the time and disk space still needed, and the commands. Trains nothing.

    Args:
        log_root: where run folders are.
        jobs: number of parallel trainings; one per GPU if not given.
        probe: train a few batches of each stage and model first, to measure the time of a site on this machine.
    """
    from rcic.learn.grid.run_grid import show_plan

    show_plan(options, source, log_root, jobs, probe)


def run_grid(
    options: GridOptions, source: ScreenSource, launch: LaunchOptions, log_root: str = "logs", force: bool = False
) -> None:
    """Train all members of a grid: one process a training, in parallel; what fails does not stop the rest.

    It can be stopped and started at any time: finished trainings are skipped, interrupted ones
    resume. A training that fails is tried once more.

    Args:
        log_root: where run folders go.
        force: retrain all of them from scratch; finished trainings are replaced when the new ones are done.
    """
    from rcic.learn.grid.run_grid import run_grid

    run_grid(options, source, log_root, launch, force)


def rerun(run_dir: str, log_root: str, data_root: str | None = None) -> None:
    """Train once more what a run folder holds, from its own config and the data it names, and compare the weights.

    Args:
        run_dir: a run folder with config.yml and run.json.
        log_root: where the new run folder goes; not the old one's.
        data_root: the screen, if it is elsewhere now.
    """
    from rcic.learn.train.rerun import rerun

    rerun(run_dir, log_root, data_root)


COMMANDS = (run, explain, plan, run_grid, rerun)
