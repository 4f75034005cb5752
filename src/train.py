"""Train one model: ``python src/train.py run --config configs/full.yml --channels=[1,2,3,4,5] --fold=0 ...``."""

from rcic import cli


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
    from rcic.learn.config import parse_overrides, read_config

    flags = {
        "data.channels": channels,
        "data.fold": fold,
        "model.name": model,
        "train.seed": seed,
        "train.device": device,
    }
    overrides = {key: value for key, value in flags.items() if value is not None} | parse_overrides(set)
    resolved = read_config(config, overrides)  # a mistake in it is told before pandas and torch are imported

    from rcic.learn.run import train

    train(resolved, data_root, log_root, force)


if __name__ == "__main__":
    cli.main({"run": run})
