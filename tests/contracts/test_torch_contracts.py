"""torch: batch statistics, schedules, averages, checkpoints and samplers."""

import copy
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel, update_bn
from torch.utils.data import WeightedRandomSampler


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Compute on one thread, as the program's trainings on a CPU do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def optimizer_with_cycle() -> tuple[torch.optim.Optimizer, OneCycleLR]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
    return optimizer, OneCycleLR(optimizer, max_lr=1.0, total_steps=10)


def test_update_bn_weighs_batches_not_wells():
    """``update_bn`` averages the statistics of batches: a last batch of two wells counts as much as one of six.

    Seen in 2.14.1: a mean of 5.25 where that of all eight values is 2.875. The program pools by the number of wells
    (``_Population`` in ``rcic.learn.models.plate_batchnorm``); without that
    ``test_the_first_layer_sees_all_portions`` fails.
    """
    layer = nn.BatchNorm1d(1)
    batches = [torch.tensor([[0.0], [1.0]] * 3), torch.full((2, 1), 10.0)]
    update_bn(batches, layer)
    assert layer.running_mean is not None
    assert (float(layer.running_mean), float(torch.cat(batches).mean())) == (5.25, 2.875)


@pytest.mark.parametrize(("schedule_first", "rate"), [(True, 0.95), (False, 0.04)])
def test_a_cycle_made_after_the_optimiser_was_loaded_begins_anew_for_a_step(schedule_first, rate):
    """``OneCycleLR`` sets the first rate of its cycle when it is made; loading its state does not set it back.

    Seen in 2.14.1: resumed after 3 of 10 steps, with optimiser loaded, schedule made, schedule loaded, the next step
    has the rate 0.04 of step 0 instead of 0.95; every later step is right. Made before the optimiser is loaded, all
    are. The program has a table of rates and sets each before its step (``set_step`` in ``rcic.learn.train.optim``);
    without that ``test_it_ends_as_if_it_had_run_through`` fails.
    """
    optimizer, schedule = optimizer_with_cycle()
    for _ in range(3):
        optimizer.step()
        schedule.step()
    states = copy.deepcopy((optimizer.state_dict(), schedule.state_dict()))
    if schedule_first:
        optimizer, schedule = optimizer_with_cycle()
        optimizer.load_state_dict(states[0])
    else:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
        optimizer.load_state_dict(states[0])
        schedule = OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    schedule.load_state_dict(states[1])
    assert round(optimizer.param_groups[0]["lr"], 2) == rate


@pytest.mark.parametrize(
    ("memory_format", "n_channels", "least", "most"),
    [(torch.channels_last, 3, 10, 30), (torch.channels_last, 64, 5, 15), (torch.contiguous_format, 3, 2.9, 3.1)],
)
def test_batchnorm_of_raw_16_bit_levels_is_off_in_channels_last(one_thread, memory_format, n_channels, least, most):
    """BatchNorm of levels about 30,000 with deviation 3 finds 7.9 to 17.7 in channels_last, and 3.0 otherwise.

    Seen in 2.14.1 on one thread of a CPU (7.9 for 8 images of 64 channels, 17.7 for 16 of three; with two threads 3.0
    and 7.8): the sums lose their last digits. At a mean of 200 it is right. The program normalises pixels before the
    network sees them (``normalize`` in ``rcic.pixels.batches.batch``); without that
    ``test_gain_and_offset_of_a_channel_vanish`` fails.
    """
    torch.manual_seed(0)
    shape = (8, 64, 64, 64) if n_channels == 64 else (16, 3, 64, 64)
    levels = (torch.randn(shape) * 3 + 30_000).contiguous(memory_format=memory_format)
    layer = nn.BatchNorm2d(n_channels, momentum=1.0)
    layer(levels)
    assert layer.running_var is not None
    assert least < float(layer.running_var.sqrt().mean()) < most


def test_batchnorm_of_normalised_levels_is_right_in_channels_last(one_thread):
    """At a mean of 200 and deviation 3 channels_last finds 3.0. Seen in 2.14.1. The program relies on it."""
    torch.manual_seed(0)
    levels = (torch.randn(16, 3, 64, 64) * 3 + 200).contiguous(memory_format=torch.channels_last)
    layer = nn.BatchNorm2d(3, momentum=1.0)
    layer(levels)
    assert layer.running_var is not None
    assert torch.allclose(layer.running_var, levels.double().var(dim=(0, 2, 3)).float(), rtol=0.01)


@pytest.mark.parametrize(("use_buffers", "count"), [(True, 1), (False, 4)])
def test_an_averaged_model_averages_the_counter_of_batchnorm(use_buffers, count):
    """``AveragedModel(use_buffers=True)`` averages ``num_batches_tracked``, too: 1 after four batches.

    Seen in 2.14.1. Without ``use_buffers`` running statistics are not averaged at all but copied. The program averages
    statistics and copies counters (``Average`` in ``rcic.learn.train.weight_average``); without that
    ``test_swa_is_the_mean_of_the_last_epochs`` fails.
    """
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = AveragedModel(network, use_buffers=use_buffers)
    for _ in range(4):
        network(torch.randn(4, 2))
        average.update_parameters(network)
    assert (int(average.module[1].num_batches_tracked), int(network[1].num_batches_tracked)) == (count, 4)


def test_a_weighted_sampler_without_replacement_draws_weights_of_zero():
    """``WeightedRandomSampler([1, 0, 0], 2, replacement=False)`` fills up with indices of weight zero, without a word.

    Seen in 2.14.1. With replacement none was seen in 20 million draws. The program has no weighted sampler:
    batches are whole plates, or orders of all wells (``rcic.pixels.batches.sampler``).
    """
    assert list(WeightedRandomSampler([1.0, 0.0, 0.0], 1, replacement=False)) == [0]
    drawn = list(WeightedRandomSampler([1.0, 0.0, 0.0], 2, replacement=False))
    assert len(drawn) == 2 and max(drawn) > 0


@pytest.mark.parametrize("mmap", [False, True])
def test_load_does_not_compare_checksums(tmp_path, mmap):
    """``torch.load`` reads a file with a changed byte and gives other weights: it ignores its zip archive's checksums.

    Seen in 2.14.1. The program checks every record first (``check_archive`` in ``rcic.learn.runs.checkpoint``); without
    that ``test_one_changed_byte_is_found`` fails.
    """
    path = tmp_path / "weights.pth"
    torch.save({"weight": torch.zeros(1000)}, path)
    change_one_byte(path)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is not None
    assert torch.load(path, weights_only=True, mmap=mmap)["weight"].count_nonzero() == 1


def change_one_byte(path: Path) -> None:
    """Change one byte in the largest run of zeros of a file: a tensor's."""
    content = bytearray(path.read_bytes())
    content[content.index(bytes(2000)) + 1002] = 1
    path.write_bytes(content)


def test_a_numpy_number_in_a_checkpoint_is_not_read(tmp_path):
    """``torch.load(weights_only=True)`` refuses a file that holds a numpy number, such as a rate of a table.

    Seen in 2.14.1. The program sets plain floats (``set_step`` in ``rcic.learn.train.optim``); without that
    ``test_the_state_after_set_step_is_plain`` fails.
    """
    torch.save({"lr": np.float64(0.1)}, tmp_path / "state.pth")
    with pytest.raises(Exception, match="numpy"):
        torch.load(tmp_path / "state.pth", weights_only=True)
