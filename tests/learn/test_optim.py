import io
import itertools

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import OneCycleLR

from rcic.learn.config import Optim, Schedule
from rcic.learn.optim import accumulation, build_optimizer, schedule_table, set_step

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


@pytest.mark.parametrize(("n_batches", "size"), list(itertools.product(range(1, 9), range(1, 5))))
def test_accumulation_covers_every_batch_once(n_batches, size):
    groups = accumulation(n_batches, size)
    assert len(groups) == n_batches and groups[-1][1]
    assert sum(1 / group for group, _ in groups) == pytest.approx(-(-n_batches // size))  # weights of a group sum to 1
    assert sum(steps for _, steps in groups) == -(-n_batches // size)


def test_the_last_group_may_be_smaller():
    assert accumulation(3, 2) == [(2, False), (2, True), (1, True)]
    assert accumulation(2, 1) == [(1, True), (1, True)]
