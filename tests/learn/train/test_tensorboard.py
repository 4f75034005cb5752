"""Metrics for TensorBoard are what TensorBoard reads, and a disk that fails ends them and nothing else."""

from types import SimpleNamespace

import pytest

from rcic.learn.train.tensorboard import TensorBoard
from tests.disk import nearly_full

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")


def log(logger, epoch: int, scope: str = "epoch") -> None:
    metrics = {"train": {"loss": 1 / epoch, "lr": 0.1}, "valid": {"map3": epoch / 10}, "_epoch_": {}}
    logger.log_metrics(metrics, scope, SimpleNamespace(epoch_step=epoch))


def scalars(folder) -> dict[str, list[tuple[int, float]]]:
    """Return tag -> (step, value) as TensorBoard itself reads them."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found: dict[str, list[tuple[int, float]]] = {}
    for event in [event for path in sorted(folder.iterdir()) for event in EventFileLoader(str(path)).Load()]:
        for value in event.summary.value:
            number = value.simple_value or value.tensor.float_val[0]
            found.setdefault(value.tag, []).append((event.step, round(number, 6)))
    return found


def test_tensorboard_reads_it(tmp_path):
    logger = TensorBoard(tmp_path / "tb")
    log(logger, 1, "batch")
    assert not (tmp_path / "tb").exists()
    for epoch in (1, 2):
        log(logger, epoch)
    assert sorted(path.name for path in (tmp_path / "tb").iterdir()) == ["train", "valid"]
    assert scalars(tmp_path / "tb" / "train") == {"loss": [(1, 1.0), (2, 0.5)], "lr": [(1, 0.1), (2, 0.1)]}
    assert scalars(tmp_path / "tb" / "valid") == {"map3": [(1, 0.1), (2, 0.2)]}


@pytest.mark.parametrize("room", [0, 20, 150])
def test_a_full_disk_ends_the_metrics_and_nothing_else(tmp_path, capsys, room):
    logger = TensorBoard(tmp_path / "tb")
    with nearly_full(room):
        for epoch in range(1, 9):
            log(logger, epoch)
    assert capsys.readouterr().out.count("no further metrics for TensorBoard") == 1
    sizes = {path: path.stat().st_size for path in (tmp_path / "tb").rglob("*") if path.is_file()}
    if room == 150:
        kept = scalars(tmp_path / "tb" / "train")["loss"]
        assert 0 < len(kept) < 8  # whole events only
    log(logger, 9)
    assert {path: path.stat().st_size for path in sizes} == sizes


ROW = {"epoch": 2, "seconds": 3.0, "lr": 0.1, "train_loss": 0.5, "valid_loss": 0.7, "map3": 0.2, "top1 HUVEC": 0.25}


def test_an_epoch_that_a_kill_left_out_is_added_once(tmp_path):
    folder = tmp_path / "tb"
    log(TensorBoard(folder), 1)
    for name in ("later", "latest"):
        logger = TensorBoard(folder)
        logger.name += f".{name}"
        logger.restore(ROW)
    assert scalars(folder / "train") == {"loss": [(1, 1.0), (2, 0.5)], "lr": [(1, 0.1), (2, 0.1)]}
    assert scalars(folder / "valid") == {"map3": [(1, 0.1), (2, 0.2)], "loss": [(2, 0.7)], "top1 HUVEC": [(2, 0.25)]}


def test_an_event_file_cut_short_is_one_without_its_last_epoch(tmp_path):
    folder = tmp_path / "tb"
    log(TensorBoard(folder), 1)
    log(TensorBoard(folder), 2)
    (path,) = (folder / "train").iterdir()
    path.write_bytes(path.read_bytes()[:-20])
    logger = TensorBoard(folder)
    logger.name += ".later"
    logger.restore(ROW)
    (kept, added) = sorted((folder / "train").iterdir())
    assert kept == path and added.name.endswith(".later")
