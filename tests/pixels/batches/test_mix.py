import numpy as np
import pytest
import torch

from rcic.pixels.batches.mix import cut_mix, mix_batch


def numbered(n: int = 8, height: int = 20, width: int = 14) -> torch.Tensor:
    """Return images of which every pixel is the image's number."""
    return torch.arange(n).float()[:, None, None, None].expand(n, 3, height, width).contiguous()


def draws(n=60, x=None, **settings):
    x = numbered() if x is None else x
    chances = {"cutmix": 0.0, "mixup": 0.0} | settings
    return [mix_batch(x, np.random.default_rng(seed), **chances) for seed in range(n)]


def test_off_is_the_batch_itself_and_draws_nothing():
    x, rng = numbered(), np.random.default_rng(0)
    mixed, order, share = mix_batch(x, rng, 0.0, 0.0)
    assert mixed is x
    assert (order, share) == (None, 1.0)
    assert rng.random() == np.random.default_rng(0).random()


def test_cutmix_takes_exactly_its_share_from_the_other_image():
    shares = []
    for mixed, order, share in draws(cutmix=1.0):
        own = numbered()
        other = own[order]
        assert ((mixed == own) | (mixed == other)).all()
        differ = order != torch.arange(8)
        kept = (mixed == own).float().mean((1, 2, 3))[differ]
        torch.testing.assert_close(kept, torch.full_like(kept, share))
        shares.append(share)
    assert min(shares) < 0.3
    assert max(shares) > 0.9


def test_the_box_is_the_same_place_of_all_images_and_channels():
    x = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for mixed, order, _ in draws(x=x, cutmix=1.0):
        changed = (mixed != x).any(1)[order != torch.arange(4)]  # (B', H, W)
        if len(changed):
            assert (changed == changed[0]).all()
            rows, columns = changed[0].any(1).nonzero(), changed[0].any(0).nonzero()
            box = changed[0][rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            assert box.all()  # one full rectangle, of already unmixed pixels
            assert torch.equal(mixed.where(~changed[0], x[order]), mixed)


def test_a_box_by_hand():
    x = numbered(3, 4, 5)
    mixed, order, share = cut_mix(x, torch.tensor([2, 0, 1]), (slice(1, 3), slice(0, 2)))
    assert share == 1 - 4 / 20
    expected = numbered(3, 4, 5)
    for image, other in enumerate((2, 0, 1)):
        expected[image, :, 1:3, 0:2] = other
    assert torch.equal(mixed, expected)
    assert order.tolist() == [2, 0, 1]
    nothing = cut_mix(x, torch.tensor([2, 0, 1]), (slice(0, 0), slice(0, 2)))
    assert nothing[0] is x
    assert nothing[1:] == (None, 1.0)


def test_mixup_is_the_weighted_mean():
    for mixed, order, share in draws(mixup=1.0):
        assert 0 <= share <= 1
        torch.testing.assert_close(mixed, share * numbered() + (1 - share) * numbered()[order])


def test_shares_follow_the_beta_distribution():
    x = torch.zeros(2, 1, 2, 2)
    shares = {alpha: np.array([share for *_, share in draws(300, x, mixup=1.0, alpha=alpha)]) for alpha in (0.2, 1, 8)}
    for alpha, drawn in shares.items():
        assert abs(drawn.mean() - 0.5) < 0.07
        assert abs(drawn.var() - 1 / (4 * (2 * alpha + 1))) < 0.02


def test_the_chances_are_kept_apart():
    kinds = []
    x = numbered(8, 8, 8)
    for mixed, order, _ in draws(600, x, cutmix=0.3, mixup=0.5):
        new = order is not None and not torch.isin(mixed, x).all()
        kinds.append("none" if order is None else "mixup" if new else "cutmix")
    counts = {kind: kinds.count(kind) / 600 for kind in ("none", "mixup", "cutmix")}
    assert abs(counts["none"] - 0.2) < 0.06  # and the few cuts without a pixel
    assert abs(counts["mixup"] - 0.5) < 0.06
    assert abs(counts["cutmix"] - 0.3) < 0.06


@pytest.mark.parametrize("settings", [{"cutmix": 1.0}, {"mixup": 1.0}])
def test_the_input_is_left_alone_and_the_seed_decides(settings):
    x = numbered()
    first, again = draws(5, x, **settings), draws(5, x, **settings)
    assert torch.equal(x, numbered())
    for (mixed, order, share), (mixed_again, order_again, share_again) in zip(first, again, strict=True):
        assert torch.equal(mixed, mixed_again)
        assert torch.equal(order, order_again)
        assert share == share_again
        assert order.dtype == torch.int64
        assert sorted(order.tolist()) == list(range(8))
        assert mixed.dtype == x.dtype
    assert len({share for *_, share in first}) == 5


def test_a_batch_of_half_precision_stays_so():
    for settings in ({"cutmix": 1.0}, {"mixup": 1.0}):
        mixed, _, _ = mix_batch(
            numbered().bfloat16(), np.random.default_rng(1), **({"cutmix": 0, "mixup": 0} | settings)
        )
        assert mixed.dtype == torch.bfloat16


@pytest.mark.parametrize("how", ["cutmix", "mixup"])
def test_with_the_larger_share_an_image_keeps_at_least_half_of_itself(how):
    any_share, larger = (
        np.array([share for _, _, share in draws(400, larger=larger, **{how: 1.0})]) for larger in (False, True)
    )
    assert larger.min() > 0.49 and any_share.min() < 0.2  # sides are whole pixels
    for mixed, order, share in draws(20, larger=True, cutmix=1.0):
        kept = (mixed == numbered()).float().mean((1, 2, 3))
        if order is not None:
            torch.testing.assert_close(
                kept[order != torch.arange(8)], torch.full_like(kept, share)[order != torch.arange(8)]
            )
    if how == "mixup":  # Beta(1, 1) is uniform, so that its larger part is uniform in [1/2, 1]
        assert abs(larger.mean() - 0.75) < 0.03 and np.allclose(larger, np.maximum(any_share, 1 - any_share))


def test_a_chance_of_one_mixes_every_batch_with_any_box():
    mixed = [order is not None for _, order, _ in draws(400, x=numbered(8, 64, 64), cutmix=1.0, larger=True)]
    assert np.mean(mixed) > 0.98  # but for boxes without a pixel
