import io
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import OneCycleLR

from rcic.learn.config.settings import Optim, Schedule
from rcic.learn.models import WellClassifier
from rcic.learn.train.optim import accumulation, build_optimizer, rate_index, schedule_table, set_step
from tests.learn.models.small import tiny_model

NAMES = ("nadam", "adamw", "radam", "adam")


@pytest.mark.parametrize(("n_steps", "epochs", "warmup"), [(7, 10, 3), (1, 12, 5), (13, 4, 0.5), (10, 3, 2.25)])
def test_the_cycle_is_torchs_one_cycle(n_steps, epochs, warmup):
    schedule = Schedule(frozen_epochs=0, epochs=epochs, warmup_epochs=warmup, max_lr=3e-3, min_lr=2e-6)
    lr, momentum = schedule_table(schedule, n_steps)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
    low, high = schedule.momentum
    reference = OneCycleLR(
        optimizer,
        schedule.max_lr,
        total_steps=n_steps * epochs,
        pct_start=warmup / epochs,
        anneal_strategy="cos",
        base_momentum=low,
        max_momentum=high,
        div_factor=25,
        final_div_factor=schedule.max_lr / 25 / schedule.min_lr,
        three_phase=False,
    )
    expected = []
    for _ in range(n_steps * epochs):
        expected.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["betas"][0]))
        optimizer.step()
        if len(expected) < n_steps * epochs:
            reference.step()
    np.testing.assert_allclose(np.column_stack([lr, momentum]), expected, rtol=1e-9)
    assert lr[-1] == pytest.approx(schedule.min_lr) and momentum[-1] == pytest.approx(high)


def test_the_frozen_part_is_constant_and_comes_first():
    schedule = Schedule(frozen_epochs=2, epochs=3, warmup_epochs=1, frozen_lr=7e-3)
    lr, momentum = schedule_table(schedule, 5)
    assert lr.shape == momentum.shape == (25,)
    assert (lr[:10] == 7e-3).all() and (momentum[:10] == 0.95).all()
    assert lr[10] == pytest.approx(schedule.max_lr / 25) and lr[14] == pytest.approx(schedule.max_lr)


def test_a_schedule_may_lack_either_part():
    lr, _ = schedule_table(Schedule(frozen_epochs=2, epochs=0), 3)
    assert lr.tolist() == [1e-3] * 6
    lr, momentum = schedule_table(Schedule(frozen_epochs=0, epochs=2, warmup_epochs=0), 3)
    assert lr[0] == pytest.approx(5e-4) and momentum[0] == pytest.approx(0.85) and (np.diff(lr) < 0).all()


def test_steps_fall_to_a_tenth_but_not_below_the_least():
    schedule = Schedule(frozen_epochs=1, epochs=10, warmup_epochs=2, max_lr=1.0, min_lr=0.005, steps=(0.5, 0.8, 0.9))
    lr, momentum = schedule_table(schedule, 10)
    assert lr.shape == momentum.shape == (110,) and (momentum == 0.95).all()
    assert (lr[:10] == 1e-3).all()
    assert lr[10] == pytest.approx(1 / 25) and (np.diff(lr[10:30]) > 0).all() and lr[29] == pytest.approx(1)
    for start, end, rate in ((30, 60, 1.0), (60, 90, 0.1), (90, 100, 0.01), (100, 110, 0.005)):
        assert lr[start:end].tolist() == pytest.approx([rate] * (end - start))


def test_an_epoch_of_any_length_begins_and_ends_where_the_schedule_says():
    assert [rate_index(epoch, step, 4, 4) for epoch in (1, 2) for step in range(4)] == list(range(8))
    for n_steps in (1, 2, 3, 5, 9, 40):
        places = [rate_index(3, step, n_steps, 4) for step in range(n_steps)]
        assert places[0] == 8 and max(places) <= 11 and places == sorted(places)
        assert n_steps < 4 or set(places) == {8, 9, 10, 11}


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_steps_what_has_a_gradient(name):
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    optimizer = build_optimizer(Optim(name, weight_decay=0.1), model, lr=1e-2)
    before = [parameter.clone() for parameter in model.parameters()]
    model[1](torch.ones(5, 4)).sum().backward()
    optimizer.step()
    moved = [not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True)]
    assert moved == [False, False, True, True]  # no decay either without a gradient


def test_fused_is_asked_for_where_torch_has_it():
    model = torch.nn.Linear(2, 2)
    fused = {name: build_optimizer(Optim(name), model, 1e-3).defaults.get("fused", False) for name in NAMES}
    assert fused == {"nadam": False, "adamw": True, "radam": False, "adam": True}


def test_the_state_after_set_step_is_plain():
    model = torch.nn.Linear(2, 2)
    optimizer = build_optimizer(Optim("nadam"), model, 1e-3)
    set_step(optimizer, np.float64(0.5), np.float64(0.25))
    assert [(group["lr"], group["betas"]) for group in optimizer.param_groups] == [(0.5, (0.25, 0.999))]
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    torch.load(file, weights_only=True)


def test_head_trunk_and_stem_have_rates_of_their_own():
    model = tiny_model(4, 3, head="neck", width=8)
    optimizer = build_optimizer(Optim("adamw", trunk_rate=0.5, stem_rate=0.25), model, 1e-3)
    head, _, stem = optimizer.param_groups
    assert {id(p) for p in head["params"]} == {id(p) for p in model.head.parameters()}
    assert len(stem["params"]) == 1 and stem["params"][0] is model.trunk[0].weight
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))
    assert [group["lr"] for group in optimizer.param_groups] == [1e-3, 5e-4, 2.5e-4]
    set_step(optimizer, np.float64(0.8), 0.9)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.8, 0.4, 0.2])
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    again = build_optimizer(Optim("adamw", trunk_rate=0.5, stem_rate=0.25), model, 1e-3)
    again.load_state_dict(torch.load(file, weights_only=True))
    set_step(again, 0.4, 0.9)
    assert [group["lr"] for group in again.param_groups] == pytest.approx([0.4, 0.2, 0.1])


def test_equal_rates_are_one_group_and_unequal_ones_move_by_their_factor():
    assert len(build_optimizer(Optim(), tiny_model(4, 3), 1e-3).param_groups) == 1
    moved = {}
    for rate in (1.0, 0.5):
        torch.manual_seed(0)
        model = WellClassifier(torch.nn.Sequential(torch.nn.Conv2d(2, 8, 3)), 8, 3)  # nothing between stem and head
        before = {key: value.clone() for key, value in model.state_dict().items()}
        optimizer = build_optimizer(Optim("adamw", stem_rate=rate), model, 1e-2)
        set_step(optimizer, 1e-2, 0.9)
        torch.manual_seed(0)
        model(torch.randn(4, 2, 12, 12)).logits.square().sum().backward()
        optimizer.step()
        moved[rate] = {key: value - before[key] for key, value in model.state_dict().items()}
    assert torch.allclose(moved[0.5]["trunk.0.weight"], 0.5 * moved[1.0]["trunk.0.weight"], atol=1e-6)
    assert torch.equal(moved[0.5]["head.weight"], moved[1.0]["head.weight"])


@pytest.mark.parametrize(("n_batches", "size"), list(itertools.product(range(1, 9), range(1, 5))))
def test_accumulation_covers_every_batch_once(n_batches, size):
    groups = accumulation(n_batches, size)
    assert len(groups) == n_batches and groups[-1][1]
    assert sum(1 / group for group, _ in groups) == pytest.approx(-(-n_batches // size))  # weights of a group sum to 1
    assert sum(steps for _, steps in groups) == -(-n_batches // size)


def test_the_last_group_may_be_smaller():
    assert accumulation(3, 2) == [(2, False), (2, True), (1, True)]
    assert accumulation(2, 1) == [(1, True), (1, True)]


def test_recipe_a_is_linear_from_a_start_of_its_own():
    schedule = Schedule(
        frozen_epochs=2, epochs=40, curve="linear", warmup_epochs=5, start_lr=1e-4, max_lr=5e-4, min_lr=1e-5,
        momentum=(0.85, 0.95), start_momentum=0.9,
    )  # fmt: skip
    lr, momentum = schedule_table(schedule, 10)
    assert lr.shape == (420,) and (lr[:20] == 1e-3).all() and (momentum[:20] == 0.9).all()
    np.testing.assert_allclose(lr[20:70], np.linspace(1e-4, 5e-4, 50))
    np.testing.assert_allclose(lr[69:], np.linspace(5e-4, 1e-5, 351))
    np.testing.assert_allclose(momentum[20:70], np.linspace(0.9, 0.85, 50))
    np.testing.assert_allclose(momentum[69:], np.linspace(0.85, 0.95, 351))


def test_recipe_b_is_constant():
    schedule = Schedule(frozen_epochs=0, epochs=3, curve="constant", warmup_epochs=0, max_lr=1e-3, momentum=(0.9, 0.9))
    lr, momentum = schedule_table(schedule, 4)
    assert lr.tolist() == [1e-3] * 12 and momentum.tolist() == [0.9] * 12
    lr, _ = schedule_table(Schedule(frozen_epochs=0, epochs=3, curve="constant", warmup_epochs=1, max_lr=1.0), 4)
    assert lr[0] == pytest.approx(1 / 25) and (np.diff(lr[:4]) > 0).all() and (lr[3:] == 1).all()


def test_recipe_d_falls_once_after_two_thirds():
    schedule = Schedule(
        frozen_epochs=0, epochs=60, warmup_epochs=0, max_lr=1.2e-3, min_lr=1e-5, momentum=(0.9, 0.9), steps=(2 / 3,)
    )
    for share in (2 / 3, 0.6666666667):
        lr, momentum = schedule_table(replace(schedule, steps=(share,)), 1000)
        assert (lr[:40000] == 1.2e-3).all() and lr[40001:] == pytest.approx(1.2e-4) and (momentum == 0.9).all()


def test_recipe_f_begins_anew_and_stops_before_the_second_end():
    """The source: cosine,1.5e-4,90,6e-5,150,0 and 130 epochs."""
    schedule = Schedule(
        frozen_epochs=0, epochs=130, warmup_epochs=0, max_lr=1.5e-4, min_lr=0.0, momentum=(0.9, 0.9),
        restarts=(90,), restart_lrs=(6e-5,), planned_epochs=150,
    )  # fmt: skip
    lr, momentum = schedule_table(schedule, 100)
    assert lr.shape == (13000,) and (momentum == 0.9).all()
    epoch = np.arange(13000) / 100
    first, second = 1.5e-4 / 2 * (1 + np.cos(np.pi * epoch / 90)), 6e-5 / 2 * (1 + np.cos(np.pi * (epoch - 90) / 60))
    np.testing.assert_allclose(lr, np.where(epoch < 90, first, second), atol=1e-7)
    assert lr[9000] == pytest.approx(6e-5) and lr[-1] == pytest.approx(1.5e-5, rel=2e-3)
    assert schedule_table(replace(schedule, epochs=1), 100)[0].tolist() == lr[:100].tolist()  # a trial is its beginning


def test_every_cycle_rises_in_the_same_share_of_its_length():
    """Recipe C: cycles of 4, 8 and 8 epochs, 30 % of them rising from a 25th of their highest rate."""
    schedule = Schedule(
        frozen_epochs=1,
        epochs=20,
        warmup_epochs=1.2,
        max_lr=1e-3,
        min_lr=0.0,
        restarts=(4, 12),
        restart_lrs=(1e-3, 1e-4),
    )
    lr, momentum = schedule_table(schedule, 10)
    cycles = np.split(lr[10:], [40, 120])
    assert [int(cycle.argmax()) for cycle in cycles] == [11, 23, 23]
    assert [cycle.max() for cycle in cycles] == pytest.approx([1e-3, 1e-3, 1e-4])
    assert [cycle[0] for cycle in cycles] == pytest.approx([4e-5, 4e-5, 4e-6])
    assert [cycle[-1] for cycle in cycles] == pytest.approx([0, 0, 0])
    for cycle, own in zip(np.split(momentum[10:], [40, 120]), cycles, strict=True):
        assert cycle.argmin() == own.argmax() and cycle[0] == cycle[-1] == 0.95


@pytest.mark.parametrize("epochs", [1, 4, 5, 11, 12, 13])
def test_a_trial_that_ends_before_a_restart_is_the_beginning_of_the_whole(epochs):
    """``--set schedule.epochs=1`` on recipe C; a cycle that is reached as the last one ends with the trial."""
    whole = Schedule(
        frozen_epochs=0,
        epochs=20,
        warmup_epochs=0.5,
        max_lr=1e-3,
        min_lr=0.0,
        restarts=(4, 12),
        restart_lrs=(1e-3, 1e-4),
    )
    trial, lr = schedule_table(replace(whole, epochs=epochs), 10)[0], schedule_table(whole, 10)[0]
    assert len(trial) == epochs * 10
    begun = 120 if epochs > 12 else len(trial)
    assert trial[:begun].tolist() == lr[:begun].tolist()
    assert epochs != 13 or trial[-1] == pytest.approx(0)


@pytest.mark.parametrize("name", NAMES)
def test_beta_2_is_the_configs_and_stays(name):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = build_optimizer(Optim(name, beta2=0.99), torch.nn.ParameterList([parameter]), 1e-3)
    set_step(optimizer, 1e-3, 0.9)
    parameter.grad = torch.full((1,), 2.0)
    optimizer.step()
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.99)
    assert float(optimizer.state[parameter]["exp_avg_sq"]) == pytest.approx(0.01 * 4)
