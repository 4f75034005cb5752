import pandas as pd
import pytest
import torch

from rcic.errors import UserError
from rcic.files.names import BEST, HELD_OUT
from rcic.learn.config.settings import Config
from rcic.learn.runs.checkpoint import Checkpoint, read_checkpoint, save_checkpoint
from rcic.learn.runs.run_record import read_run_record
from rcic.learn.train.start import align_metadata, build_network, starting_checkpoint

METADATA = {"model__metadata": ["experiment"], "model__head": "neck", "model__width": 16}


def known_of(folder):
    return read_checkpoint(folder / BEST).meta["metadata"]


def held_out_of(folder):
    return set(pd.read_csv(folder / HELD_OUT)["id_code"].str.partition("_")[0])


def started(config, tmp_path, known, **settings):
    """Return a network of 3 classes on one channel and the same one started from a checkpoint that knows ``known``."""
    chosen = config(data__channels=[1], **METADATA | settings)
    earlier, _ = build_network(chosen, 3, [len(values) for values in known.values()], None)
    meta = {"channels": [1], "model": "tiny", "classes": [0, 1, 2], "metadata": known}
    save_checkpoint(tmp_path / "best.pth", earlier, meta)
    chosen = config(data__channels=[1], init__checkpoint=str(tmp_path / "best.pth"), **METADATA | settings)
    return earlier, chosen


def test_what_is_not_there_or_of_other_channels_is_refused(config, tmp_path):
    with pytest.raises(
        UserError,
        match=r"the checkpoint of stage control does not exist; train that stage first with the same --log_root",
    ):
        starting_checkpoint(config(init__stage="control"), tmp_path)
    _, chosen = started(config, tmp_path, {"experiment": ["RPE-01"]})
    other = config(data__channels=[2], init__checkpoint=chosen.init.checkpoint)
    with pytest.raises(UserError, match=r"best.pth: trained on channels \[1\], not \[2\]"):
        starting_checkpoint(other, tmp_path)


def test_a_network_knows_its_channels_and_classes(config):
    chosen: Config = config(data__stack_sites=True, model__metadata=["cell_type"], model__head="neck", model__width=16)
    network, start = build_network(chosen, 7, [3], None)
    assert start == "random weights"
    output = network(torch.zeros(2, 10, 16, 16), torch.tensor([[0], [3]]))
    assert output.logits.shape == (2, 7) and output.embedding.shape == (2, 16)


def test_input_channels_are_those_of_all_stacked_sites(config):
    assert config().in_channels == 5 and config(data__stack_sites=True).in_channels == 10
    assert config(data__channels=[1], data__sites=[2]).in_channels == 1


def test_known_values_stay_where_the_weights_have_them(config, tmp_path):
    own = {"experiment": ["RPE-02", "RPE-04"]}
    _, chosen = started(config, tmp_path, {"experiment": ["HUVEC-01", "RPE-01", "RPE-02"]})
    start = starting_checkpoint(chosen, tmp_path)
    assert align_metadata(own, chosen, start) == {"experiment": ["", "", "RPE-02"]}
    assert align_metadata(own, chosen, None) == own
    other = config(data__channels=[1], **METADATA | {"model__metadata": ["cell_type"]})
    assert align_metadata({"cell_type": ["RPE"]}, other, start) == {"cell_type": ["RPE"]}


def test_the_head_is_kept_with_the_same_metadata_only(config, tmp_path):
    """Of other kinds there may be as many values: their weights would fit and mean something else."""
    earlier, chosen = started(config, tmp_path, {"experiment": ["HUVEC-01", "RPE-01"]})
    start = starting_checkpoint(chosen, tmp_path)
    network, said = build_network(chosen, 3, [2], start)
    assert said == str(tmp_path / "best.pth")
    assert torch.equal(network.head.embed[0].weight, earlier.head.embed[0].weight)
    other = config(data__channels=[1], **METADATA | {"model__metadata": ["cell_type"]})
    network, said = build_network(other, 3, [2], start)
    assert said == f"{tmp_path / 'best.pth'} (with a new head)"
    assert not torch.equal(network.head.embed[0].weight, earlier.head.embed[0].weight)
    assert torch.equal(network.trunk[0].weight, earlier.trunk[0].weight)


@pytest.mark.parametrize("spec", ["onehot", "learned"])
def test_a_cell_types_own_model_keeps_what_metadata_means(trained, spec):
    settings = METADATA | {"model__metadata_form": spec}
    common = trained(**settings)
    own = trained(init__stage="full", data__cell_types=["RPE"], **settings)
    assert read_run_record(own)["start"] == str(common / BEST)  # without "(with a new head)"
    names = known_of(common)["experiment"]
    assert known_of(own) == {"experiment": [name if name.startswith("RPE") else "" for name in names]}


def test_stage_one_makes_no_held_out_experiment_known(trained):
    """It learns from controls of experiments that stage II holds out, and holds out others."""
    control = trained(stage="control", **METADATA)
    full = trained(init__stage="control", **METADATA)
    places, known = known_of(control)["experiment"], known_of(full)["experiment"]
    assert len(places) == len(known) and all(one in (place, "") for place, one in zip(places, known, strict=True))
    assert set(known) - {""} and not set(known) & held_out_of(full)


def test_the_checkpoint_of_a_start_is_whole(config, tmp_path):
    _, chosen = started(config, tmp_path, {"experiment": ["RPE-01"]})
    start = starting_checkpoint(chosen, tmp_path)
    assert isinstance(start, Checkpoint) and any(name.startswith("head.") for name in start.weights)
    assert starting_checkpoint(config(), tmp_path) is None
