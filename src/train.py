"""Train one model: ``python src/train.py run --config configs/full.yml --channels=[1,2,3,4,5] --fold=0 ...``."""

from rcic import cli
from rcic.errors import UserError


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
    """Run one training into LOG_ROOT/STAGE/CHANNELS/fold_K/MODEL/; a finished one is skipped.

    Args:
        config: a YAML such as configs/full.yml; it decides the stage.
        data_root: the folder with the screen's CSV files and images.
        log_root: where run folders go; earlier stages are looked for there too.
        channels: the channel set, e.g. [1,2,3,4,5].
        fold: the fold to hold out (no meaning in the control stage).
        model: the network's name.
        seed: of weights, order and augmentation.
        device: auto, cpu or cuda.
        force: train anew although a finished run is there.
        set: further config values, e.g. --set=schedule.epochs=3,train.batch_size=8.
    """
    from rcic.learn.config import resolve

    flags = {"channels": channels, "fold": fold, "model": model, "seed": seed, "device": device}
    resolved = resolve(config, set, flags)  # a mistake in it is told before pandas and torch are imported

    from rcic.learn.run import train

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
    from rcic.learn.config import resolve
    from rcic.learn.explain import explain_config, explain_schema, schema_as_markdown

    flags = {"channels": channels, "fold": fold, "model": model, "seed": seed, "device": device}
    if config is not None and not markdown:
        print(explain_config(resolve(config, set, flags)))
    elif config is not None or set or any(value is not None for value in flags.values()):
        raise UserError("explain: values are explained with --config, and then not as --markdown")
    else:
        print(schema_as_markdown() if markdown else explain_schema())


if __name__ == "__main__":
    cli.main({"run": run, "explain": explain})
