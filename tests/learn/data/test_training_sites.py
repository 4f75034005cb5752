import pandas as pd
import pytest
import torch

from rcic.errors import UserError
from rcic.learn.data.training_sites import TrainingSites
from rcic.learn.train.loss_watch import LossWatch

TABLE = pd.DataFrame({"id_code": [f"HUVEC-01_1_B{row:02d}" for row in range(12)], "site": [1, 2] * 6})


def sites(**settings):
    rows = TABLE.assign(label=range(12), experiment="HUVEC-01", plate=1, wanted=True)
    return TrainingSites(rows, rows, **settings)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_the_first_bad_batch_is_named(bad):
    watch = LossWatch("cpu")
    for number, loss in enumerate((0.5, bad, 0.1, bad)):
        watch.note(torch.tensor(loss, requires_grad=True), torch.arange(3 * number, 3 * number + 3))
    assert watch.bad_batch == 1
    named = "HUVEC-01_1_B03 site 2, HUVEC-01_1_B04 site 1, HUVEC-01_1_B05 site 2"
    assert watch.description(TABLE) == f", batch 2 of 4 ({named})"
    assert watch.description(TABLE, n_named=1) == ", batch 2 of 4 (HUVEC-01_1_B03 site 2 and 2 more)"


def test_without_a_bad_batch_there_is_nothing_to_tell():
    watch = LossWatch("cpu")
    assert (watch.bad_batch, watch.description(TABLE)) == (None, "")
    watch.note(torch.tensor(1e30), torch.arange(2))
    assert (watch.bad_batch, watch.description(TABLE)) == (None, "")


def test_every_rank_names_the_first_bad_batch_of_all(monkeypatch):
    """A step of DDP takes a rank's NaN to the others, whose own batches are bad from then on."""
    watches = [LossWatch("cpu"), LossWatch("cpu"), LossWatch("cpu")]
    for rank, losses in enumerate([(0.5, 0.1, 0.2), (0.5, float("nan"), 0.2), (0.5, 0.1, float("nan"))]):
        for number, loss in enumerate(losses):
            watches[rank].note(torch.tensor(loss), torch.tensor([3 * rank + number]))
    gathered = [(watch.bad_batch, watch.description(TABLE)) for watch in watches]
    monkeypatch.setattr("rcic.learn.train.loss_watch.gather_object", lambda _own: gathered)
    for watch in watches:
        with pytest.raises(UserError, match=r"^epoch 4, batch 2 of 3 \(HUVEC-01_1_B04 site 1\): the training loss is"):
            watch.check(0.3, 4, TABLE)


def test_a_finite_epoch_passes_and_a_sum_that_is_not_has_no_batch():
    watch = LossWatch("cpu")
    watch.note(torch.tensor(0.5), torch.arange(2))
    watch.check(0.5, 1, TABLE)
    with pytest.raises(UserError, match=r"^epoch 1: the training loss is inf, and the run cannot recover"):
        watch.check(float("inf"), 1, TABLE)


def test_sites_without_a_label_are_numbered_anew():
    own = sites()
    own.train.loc[[3, 7], "label"] = -1
    assert own.unlabelled["id_code"].tolist() == ["HUVEC-01_1_B03", "HUVEC-01_1_B07"]
    assert own.unlabelled.index.tolist() == [0, 1]


def test_new_labels_replace_those_of_the_table():
    batch = {"row": torch.tensor([4, 1]), "target": torch.tensor([4, 1])}
    assert sites().labels(batch).tolist() == [4, 1]
    assert sites(new_labels=torch.arange(12) * 10).labels(batch).tolist() == [40, 10]


def test_metadata_is_that_of_the_rows():
    metadata = torch.arange(24).view(12, 2)
    rows = torch.tensor([3, 0, 3])
    assert sites().metadata(rows, "cpu") is None
    assert sites(train_metadata=metadata).metadata(rows, "cpu").tolist() == [[6, 7], [0, 1], [6, 7]]
    batch = {"row": torch.tensor([2, 3]), "image": torch.zeros(2, 1, 4, 4)}
    assert sites(valid_metadata=metadata).collator().add(batch).metadata.tolist() == [[4, 5], [6, 7]]
