from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from rcic.learn.config.settings import Config, Data, Model
from rcic.learn.data.pixel_norm import PixelNorm
from rcic.learn.data.site_groups import Group, GroupCollator, group_codes
from rcic.learn.models import WellClassifier, plate_batchnorm
from rcic.learn.predict import evaluate
from rcic.learn.predict.evaluate import InferenceSettings, predict_group
from rcic.pixels.batches.batch import normalize
from rcic.pixels.batches.sampler import WholeGroups
from tests.learn.models.small import tiny_model

BATCH_SIZES = (1, 3, 7, 64)


def sites(plates=(1, 2), wells=20, experiment="HUVEC-01"):
    """Return the site table of some plates, 2 sites a well."""
    names = [(plate, f"B{well:02d}", site) for plate in plates for well in range(wells) for site in (1, 2)]
    rows = pd.DataFrame(names, columns=["plate", "well", "site"]).assign(experiment=experiment, cell_type="HUVEC")
    return rows.assign(id_code=experiment + "_" + rows["plate"].astype(str) + "_" + rows["well"])


def group_of(rows, dtype=torch.float64, metadata=False, seed=0):
    """Return sites with random images (n, 3, 16, 16); every plate has a shift and a stretch of its own."""
    rng = np.random.default_rng(seed)
    pixels = rng.uniform(20, 120, (len(rows), 3, 16, 16)) * (0.6 + 0.4 * rows["plate"].to_numpy())[:, None, None, None]
    known = torch.from_numpy(rng.integers(0, 3, (len(rows), 1))) if metadata else None
    return Group(rows, torch.from_numpy(pixels).to(dtype), known)


def network(bn="plate", **settings):
    """Return a network in float64 on three channels, with statistics away from where they start."""
    torch.manual_seed(0)
    own = tiny_model(3, 5, n_values=(2,) if "metadata" in settings else (), bn=bn, width=8, **settings).double()
    own(torch.randn(16, 3, 16, 16, dtype=torch.float64) * 2 + 1)
    return own


def everyone(group):
    return np.ones(len(group.rows), bool)


def same_bits(one, other):
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in ("first", "logits", "embedding"))


@pytest.mark.parametrize("head", ["linear", "neck", "linear_bn"])
@pytest.mark.parametrize("bn", ["plate", "experiment"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.uint8])
@pytest.mark.parametrize("memory", [plate_batchnorm.MEMORY, 0])
def test_neither_batch_size_nor_order_changes_a_bit(monkeypatch, head, bn, dtype, memory):
    """A plate in one portion, and in five."""
    monkeypatch.setattr(plate_batchnorm, "MEMORY", memory)
    own, how = (
        network(bn, head=head).to(torch.float64 if dtype == torch.float64 else torch.float32),
        InferenceSettings(bn),
    )
    group = group_of(sites(wells=70), dtype)  # 140 sites a plate
    wanted = np.random.default_rng(1).random(280) < 0.7
    told = predict_group(own, group, wanted, how)
    assert told.logits.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert told.logits.shape == (wanted.sum(), 5)
    for batch_size in BATCH_SIZES:
        assert same_bits(predict_group(own, group, wanted, replace(how, batch_size=batch_size)), told)
    order = np.random.default_rng(2).permutation(280)
    table = group.rows.iloc[order].reset_index(drop=True)
    gathered = GroupCollator(table, "experiment").add({"row": torch.arange(280), "image": group.images[order]})
    assert gathered.rows.index.tolist() == np.argsort(order).tolist()
    assert same_bits(predict_group(own, gathered, wanted, replace(how, batch_size=7)), told)


@pytest.mark.parametrize(
    ("memory", "tta", "seen"),
    [
        (plate_batchnorm.MEMORY, ("identity",), [80]),
        (plate_batchnorm.MEMORY, ("identity", "hflip", "rot90"), [80, 60, 60]),
        (plate_batchnorm.MEMORY, ("hflip",), [80, 60]),
        (0, ("identity",), [27, 27, 26, 30, 30]),
    ],
)
def test_a_plate_that_fits_into_memory_is_gone_over_once(monkeypatch, memory, tta, seen):
    """Sites in each forward pass, of 80 with 60 to be answered."""
    monkeypatch.setattr(plate_batchnorm, "MEMORY", memory)
    own, group, passes = network().float(), group_of(sites(plates=(1,), wells=40), torch.uint8), []
    wanted = np.arange(80) % 4 > 0
    predict_group(own, group, wanted, InferenceSettings("plate", tta=tta))  # measures the memory, too
    own.trunk.register_forward_hook(lambda _layer, inputs, _output: passes.append(len(inputs[0])))
    predict_group(own, group, wanted, InferenceSettings("plate", tta=tta))
    assert passes == seen


@pytest.mark.parametrize("head", ["linear", "neck", "linear_bn"])
@pytest.mark.parametrize("tta", [("identity",), ("identity", "hflip", "rot90"), ("rot90", "identity")])
def test_what_the_plates_own_pass_found_is_what_a_second_one_would(monkeypatch, head, tta):
    own, group = network(head=head), group_of(sites())
    wanted = np.arange(80) % 3 > 0
    once = predict_group(own, group, wanted, InferenceSettings("plate", tta=tta))
    monkeypatch.setattr(evaluate, "_known", lambda *_: None, raising=True)
    twice = predict_group(own, group, wanted, InferenceSettings("plate", tta=tta))
    for name in ("first", "logits", "embedding"):
        torch.testing.assert_close(getattr(once, name), getattr(twice, name), rtol=1e-9, atol=1e-9)


def test_half_the_memory_takes_twice_the_sites():
    own, group = network().float(), group_of(sites(), torch.uint8)
    one, other = (
        evaluate._portion(own, group, InferenceSettings("plate", precision=name)) for name in ("fp32", "bf16")
    )
    assert abs(other - 2 * one) <= 2


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_running_statistics_need_no_company(batch_size):
    """The batch changes the last digits only."""
    own, group = network("running"), group_of(sites())
    told = predict_group(own, group, everyone(group), InferenceSettings(batch_size=64))
    for numbers in ([4], [70, 3, 41], range(80)):
        part = group.part(np.array(numbers))
        some = predict_group(own, part, everyone(part), InferenceSettings(batch_size=batch_size))
        torch.testing.assert_close(some.logits, told.logits[numbers], rtol=0, atol=1e-12)


def test_plates_that_come_together_are_judged_apart():
    own, group = network(), group_of(sites())
    together = predict_group(own, group, everyone(group), InferenceSettings("plate"))
    parts = [group.part(np.flatnonzero(group.rows["plate"] == plate)) for plate in (1, 2)]
    apart = torch.cat([predict_group(own, part, everyone(part), InferenceSettings("plate")).logits for part in parts])
    assert torch.equal(together.logits, apart)
    as_one = predict_group(own, group, everyone(group), InferenceSettings("experiment")).logits
    assert (as_one - apart).abs().max() > 1e-3


def test_company_lends_its_statistics_and_is_not_answered():
    own, group = network(), group_of(sites(plates=(1,)))
    wanted = np.arange(40) % 4 == 0
    among_all = predict_group(own, group, wanted, InferenceSettings("plate"))
    assert among_all.logits.shape == (10, 5)
    torch.testing.assert_close(
        among_all.logits, predict_group(own, group, everyone(group), InferenceSettings("plate")).logits[wanted]
    )
    part = group.part(np.flatnonzero(wanted))
    alone = predict_group(own, part, everyone(part), InferenceSettings("plate"))
    assert (among_all.logits - alone.logits).abs().max() > 1e-3


def test_a_single_site_is_judged_by_the_running_statistics():
    """It has no variance among sites; a vector of one would stop BatchNorm1d."""
    own, group = network(head="neck"), group_of(sites(plates=(1,), wells=1)).part(np.array([1]))
    one, other = (
        predict_group(own, group, everyone(group), InferenceSettings(bn)).logits for bn in ("plate", "running")
    )
    assert torch.equal(one, other)


def test_a_plate_without_wanted_sites_is_passed_over():
    own, group = network(), group_of(sites())
    second = np.array(group.rows["plate"] == 2)
    told = predict_group(own, group, second, InferenceSettings("plate"))
    assert torch.equal(
        told.logits, predict_group(own, group, everyone(group), InferenceSettings("plate")).logits[second]
    )


def shifted(group):
    """Return the group under another gain and offset of every channel, as on a plate of another day."""
    gain = torch.tensor([1.7, 0.4, 1.1], dtype=torch.float64)[:, None, None]
    bias = torch.tensor([15.0, -3.0, 30.0], dtype=torch.float64)[:, None, None]
    return Group(group.rows, group.images * gain + bias, group.metadata)


def test_a_shifted_and_stretched_plate_is_the_same_plate():
    """Without normalisation of pixels (mean 0, deviation 1 given): BatchNorm takes the shift away, running does not."""
    none = PixelNorm("global", {"global": [[0.0, 1.0]] * 3})
    group = group_of(sites(plates=(1,), wells=30))
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    own = WellClassifier(trunk, 8, 5, Model(bn="plate")).double()
    plates = (group, shifted(group))
    one, other = (
        predict_group(own, plate, everyone(plate), InferenceSettings("plate", none)).logits for plate in plates
    )
    torch.testing.assert_close(one, other, rtol=0, atol=1e-5)  # eps of BatchNorm beside the variance
    one, other = (
        predict_group(own, plate, everyone(plate), InferenceSettings("running", none)).logits for plate in plates
    )
    assert (one - other).abs().max() > 1


def test_a_network_without_batch_norm_gives_the_same_whatever_bn_says():
    group = group_of(sites())
    torch.manual_seed(0)
    for norm in (nn.GroupNorm(2, 8), nn.Identity()):
        own = WellClassifier(nn.Sequential(nn.Conv2d(3, 8, 3), norm, nn.ReLU()), 8, 5).double()
        answers = [
            predict_group(own, group, everyone(group), InferenceSettings(bn)).logits
            for bn in ("running", "plate", "experiment")
        ]
        for other in answers[1:]:
            torch.testing.assert_close(other, answers[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("bn", ["running", "plate"])
def test_metadata_goes_with_its_site(bn):
    own = network(bn, head="neck", metadata=("cell_type",), metadata_form="learned", metadata_width=4)
    group = group_of(sites(), metadata=True)
    told = predict_group(own, group, everyone(group), InferenceSettings(bn, batch_size=7))
    order = np.random.default_rng(0).permutation(80)
    shuffled = Group(group.rows.iloc[order], group.images[order], group.metadata[order])
    again = predict_group(own, shuffled, everyone(group), InferenceSettings(bn, batch_size=7))
    torch.testing.assert_close(again.logits, told.logits[order], rtol=0, atol=1e-12)
    unknown = Group(group.rows, group.images)
    assert (predict_group(own, unknown, everyone(group), InferenceSettings(bn)).logits - told.logits).abs().max() > 1e-3


@pytest.mark.parametrize("bn", ["running", "plate"])
def test_views_are_averaged_and_the_first_is_kept(bn):
    """The statistics are those of the plate as it is, whatever views are asked for."""
    own, group = network(bn), group_of(sites())
    single = [
        predict_group(own, group, everyone(group), InferenceSettings(bn, tta=(view,)))
        for view in ("rot90", "identity", "hflip")
    ]
    told = predict_group(
        own, group, everyone(group), InferenceSettings(bn, tta=("rot90", "identity", "hflip"), batch_size=5)
    )
    torch.testing.assert_close(told.first, single[0].logits, rtol=0, atol=1e-12)
    torch.testing.assert_close(told.logits, sum(one.logits for one in single) / 3, rtol=0, atol=1e-12)
    torch.testing.assert_close(told.embedding, sum(one.embedding for one in single) / 3, rtol=0, atol=1e-12)
    crops = predict_group(own, group, everyone(group), InferenceSettings(bn, tta=("crops",), crop=12))
    assert crops.logits.shape == (80, 5) and (crops.first - crops.logits).abs().max() > 1e-3


def test_the_network_is_left_in_evaluation_mode_and_otherwise_as_it_was():
    own, group = network(head="neck", dropout=0.5), group_of(sites())
    own.train()
    before = {name: tensor.clone() for name, tensor in own.state_dict().items()}
    predict_group(own, group, everyone(group), InferenceSettings("plate"))
    assert not any(module.training for module in own.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in own.state_dict().items())


@pytest.mark.parametrize(
    ("bn", "norm", "unit"),
    [
        ("running", "image", None),
        ("running", "global", None),
        ("running", "cell_type", None),
        ("plate", "image", "plate"),
        ("running", "plate", "plate"),
        ("plate", "experiment", "experiment"),
        ("experiment", "plate", "experiment"),
        ("experiment", "cell_type", "experiment"),
    ],
)
def test_the_unit_that_must_be_read_whole(bn, norm, unit):
    assert InferenceSettings(bn, PixelNorm(norm)).unit == unit
    assert Config(model=Model(bn=bn), data=Data(norm=norm)).statistics_unit == unit


def test_plates_of_a_number_are_told_apart_by_their_experiment():
    rows = pd.concat([sites(wells=1, experiment="RPE-02"), sites(wells=1)])
    assert group_codes(rows, "plate").tolist() == [2, 2, 3, 3, 0, 0, 1, 1]
    assert group_codes(rows, "experiment").tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    assert group_codes(rows, None).tolist() == list(range(8))


@pytest.mark.parametrize("batch_size", [1, 3, 64])
@pytest.mark.parametrize("unit", ["plate", "experiment", None])
def test_batches_are_gathered_to_whole_groups(batch_size, unit):
    rows = pd.concat([sites(wells=3), sites(wells=2, experiment="RPE-01")], ignore_index=True)  # 12 + 8 sites
    group, metadata = group_of(rows), torch.arange(20)[:, None]
    collator = GroupCollator(rows, unit, metadata)
    numbers = WholeGroups(group_codes(rows, unit) if unit else np.zeros(20, int), batch_size)
    batches = [{"row": torch.tensor(part), "image": group.images[part]} for part in numbers]
    groups = [whole for batch in batches if (whole := collator.add(batch)) is not None]
    if unit:
        assert [len(whole.rows) for whole in groups] == {"plate": [6, 6, 4, 4], "experiment": [12, 8]}[unit]
    assert [number for whole in groups for number in whole.rows.index] == list(range(20))
    assert torch.equal(torch.cat([whole.images for whole in groups]), group.images)
    assert torch.equal(torch.cat([whole.metadata for whole in groups]), metadata)
    assert collator.waiting == []


@pytest.mark.parametrize(("device", "waits"), [("cpu", True), (torch.device("cpu"), True), ("meta", False)])
def test_only_copies_towards_a_gpu_are_not_waited_for(monkeypatch, device, waits):
    given, copy = [], torch.Tensor.to

    def to(tensor, *words, **more):
        given.append(more.get("non_blocking", False))
        return copy(tensor, *words, **more)

    group = group_of(sites())
    monkeypatch.setattr("torch.Tensor.to", to)
    group.pixels(np.arange(3), device)
    assert given == [not waits]


@pytest.mark.parametrize("norm_of", ["view", "image"])
@pytest.mark.parametrize("by", ["image", "fixed"])
def test_a_crop_is_normalised_as_in_training(norm_of, by):
    """By its own statistics, those of its image, or constants: whatever the training crop had."""
    seen, group = [], group_of(sites(wells=3), torch.uint8)
    group.images[..., :8] //= 4  # a dark half
    pixels = PixelNorm() if by == "image" else PixelNorm("fixed", {"global": [[50.0, 20.0]] * 3})
    own = network("running").float()
    own.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].clone()))
    how = InferenceSettings("running", pixels, ("identity", "crops"), 8, norm_of=norm_of)
    predict_group(own, group, everyone(group), how)
    identity, first, *_ = seen
    whole = normalize(group.images, pixels.of(group.rows, group.images))
    torch.testing.assert_close(identity, whole)
    alone = normalize(group.images[:, :, :8, :8].contiguous())
    torch.testing.assert_close(first, alone if (norm_of, by) == ("view", "image") else whole[:, :, :8, :8])
    assert len(seen) == 6
