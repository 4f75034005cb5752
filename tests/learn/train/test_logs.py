import inspect
from types import SimpleNamespace

import pytest
from catalyst.loggers import wandb as catalyst_wandb

from rcic.errors import UserError
from rcic.learn.config.settings import Log
from rcic.learn.train.logs import build_loggers


class FakeWandb:
    """What Catalyst's logger uses of wandb. `init` takes the arguments of wandb 0.31 that the program may name."""

    def __init__(self):
        self.started, self.logged, self.finished = {}, [], False
        self.config = SimpleNamespace(update=lambda hparams: self.started.update(hparams=hparams))

    def init(self, *, entity=None, project=None, dir=None, name=None, config=None, mode=None, allow_val_change=None):
        self.started = {key: value for key, value in locals().items() if key != "self"}
        return self

    def log(self, metrics, step):
        self.logged.append((step, metrics))

    def finish(self):
        self.finished = True


@pytest.fixture
def wandb(monkeypatch):
    fake = FakeWandb()
    monkeypatch.setattr(catalyst_wandb, "wandb", fake, raising=False)
    monkeypatch.setattr("rcic.learn.train.run.find_spec", lambda _name: object())
    return fake


def test_tensorboard_and_wandb_are_choices(tmp_path, wandb):
    assert list(build_loggers(Log(tensorboard=False), tmp_path, "t")) == ["metrics"]
    assert list(build_loggers(Log(wandb="offline"), tmp_path, "t")) == ["metrics", "tensorboard", "wandb"]
    assert wandb.started["mode"] == "offline" and wandb.started["dir"] == str(tmp_path)
    assert wandb.started["project"] == "rcic" and wandb.started["name"] == "t"


def test_a_run_is_told_to_wandb_epoch_by_epoch(trained, wandb):
    folder = trained(log__wandb="offline", schedule__epochs=2)
    assert wandb.started["dir"] == str(folder) and wandb.started["hparams"]["train"]["batch_size"] == 8
    steps = {(step, *metrics) for step, metrics in wandb.logged}
    assert {(1, "map3_epoch/valid"), (2, "map3_epoch/valid"), (2, "loss_epoch/train")} <= steps
    assert wandb.finished


def test_a_failed_run_is_finished_for_wandb_too(trained, wandb):
    with pytest.raises(UserError, match=r"not finite|cannot recover"):
        trained(log__wandb="offline", schedule__max_lr=1e30)
    assert wandb.finished


def test_a_missing_wandb_is_told_before_anything_is_written(trained, tmp_path):
    with pytest.raises(
        UserError, match=r"^log.wandb is offline, but wandb is not installed: pip install wandb, or set"
    ):
        trained(log__wandb="offline")
    assert not (tmp_path / "logs").exists()


def test_catalysts_logger_hands_on_what_it_does_not_know():
    parameters = inspect.signature(catalyst_wandb.WandbLogger.__init__).parameters
    assert {"project", "name", "log_batch_metrics"} < set(parameters)
    assert parameters["kwargs"].kind is inspect.Parameter.VAR_KEYWORD


def test_tensorboard_files_are_written(trained):
    folder = trained(log__tensorboard=True)
    assert {path.parent.name for path in (folder / "tensorboard").rglob("events.*")} == {"train", "valid"}
