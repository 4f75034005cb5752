import numpy as np
import pytest
import torch

from rcic.pixels.batches.batch import (
    augment_batch,
    channel_dropout,
    crop_pixels,
    erase,
    gain_and_bias,
    image_stats,
    normalize,
    scale_crop,
)

EVERY = {"scale_crop": 0.5, "gain": 0.1, "bias": 0.1, "erase": 0.5, "channel_dropout": 0.5}


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=chance(9))


@pytest.fixture
def batch() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (6, 3, 40, 30), generator=generator, dtype=torch.uint8)
    return images // torch.tensor([1, 4, 50], dtype=torch.uint8)[:, None, None]  # channels of other spread


def test_every_image_and_channel_has_mean_0_and_variance_1(batch):
    result = normalize(batch)
    assert result.dtype == torch.float32
    assert result.shape == batch.shape
    torch.testing.assert_close(result.mean((2, 3)), torch.zeros(6, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(result.square().mean((2, 3)), torch.ones(6, 3), atol=1e-5, rtol=0)


def test_it_equals_the_plain_formula(batch):
    images = batch.double()
    std, mean = torch.std_mean(images, (2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(normalize(batch).double(), (images - mean) / std, atol=1e-5, rtol=0)


def test_gain_and_offset_of_a_channel_vanish():
    image = torch.randint(0, 80, (1, 2, 30, 30), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    torch.testing.assert_close(normalize(image * 2 + 7), normalize(image), atol=1e-5, rtol=0)


@pytest.mark.parametrize("level", [0, 1, 77, 255])
@pytest.mark.parametrize("size", [16, 96, 512])
def test_a_constant_channel_is_zero(level, size):
    image = torch.full((1, 2, size, size), level, dtype=torch.uint8)
    image[0, 1, 0, 0] = abs(level - 1)  # one pixel differs by one grey level: still an image
    result = normalize(image)
    assert (result[0, 0] == 0).all()
    assert result.isfinite().all()
    assert abs(result[0, 1].square().mean() - 1) < 0.05


def test_the_batch_is_left_alone(batch):
    for images in (batch, batch.float(), batch.to(memory_format=torch.channels_last)):
        before = images.clone()
        torch.testing.assert_close(normalize(images), normalize(batch))
        assert torch.equal(images, before)


def test_an_image_does_not_depend_on_its_neighbours(batch):
    assert torch.equal(normalize(batch)[2:3], normalize(batch[2:3]))


def test_a_dropped_channel_is_zero_after_normalising():
    images = torch.randint(0, 256, (400, 5, 8, 8), generator=torch.Generator().manual_seed(2))
    batch = normalize(images.to(torch.uint8))
    result = channel_dropout(batch, 0.5, torch.Generator().manual_seed(3))
    zero = (result == 0).all(3).all(2)  # (B, C)
    assert zero.sum(1).max() == 1
    assert 160 < zero.any(1).sum() < 240  # half of them
    assert (zero.sum(0) > 20).all()  # every channel is sometimes the one
    assert torch.equal(result[~zero], batch[~zero])


def test_dropout_follows_its_generator(batch):
    images = normalize(batch)
    first, again, other = (channel_dropout(images, 0.5, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_dropout_at_its_bounds(batch):
    images = normalize(batch)
    assert torch.equal(channel_dropout(images, 0.0), images)
    assert ((channel_dropout(images, 1.0) == 0).all(3).all(2).sum(1) == 1).all()
    assert torch.equal(channel_dropout(images[:, :1], 1.0), images[:, :1])
    assert channel_dropout(images.bfloat16(), 0.5).dtype == torch.bfloat16


def test_given_statistics_replace_the_image_s_own(batch):
    stats = torch.stack([torch.arange(18).view(6, 3) * 2.0, torch.arange(18).view(6, 3) + 0.5], 2)  # (B, C, 2)
    expected = (batch.double() - stats[..., 0, None, None]) / stats[..., 1, None, None]
    result = normalize(batch, stats)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result.double(), expected, atol=1e-5, rtol=1e-5)
    own = torch.stack(torch.std_mean(batch.float(), (2, 3), correction=0)[::-1], 2)
    torch.testing.assert_close(normalize(batch, own), normalize(batch), atol=1e-4, rtol=0)


def test_a_given_spread_of_zero_gives_zero(batch):
    stats = torch.tensor([[7.0, 0.0], [7.0, 1e-6], [7.0, 2.0]]).expand(6, 3, 2)
    result = normalize(batch, stats)
    assert (result[:, :2] == 0).all()
    torch.testing.assert_close(result[:, 2], (batch[:, 2].float() - 7) / 2)


def test_float64_stays_float64(batch):
    images = batch.double()
    std, mean = torch.std_mean(images, (2, 3), correction=0, keepdim=True)
    assert normalize(images).dtype == torch.float64
    torch.testing.assert_close(normalize(images), (images - mean) / std, atol=1e-12, rtol=0)
    stats = torch.tensor([3.0, 7.0]).expand(6, 3, 2)
    torch.testing.assert_close(normalize(images, stats), (images - 3) / 7, atol=1e-14, rtol=0)
    for other in (torch.uint8, torch.float32, torch.bfloat16):
        assert normalize(batch.to(other)).dtype == torch.float32


def test_nothing_asked_is_the_batch_itself_without_a_random_number(batch):
    x, generator = normalize(batch), chance()
    for settings in ({}, dict.fromkeys(EVERY, 0.0), {"cutmix": 1.0, "d4": True, "crop": 3}):
        assert augment_batch(x, settings, generator) is x
    assert torch.equal(torch.rand(3, generator=generator), torch.rand(3, generator=chance()))


@pytest.mark.parametrize("settings", [{key: value} for key, value in EVERY.items()] + [EVERY], ids=str)
def test_augmenting_keeps_shape_type_and_the_batch(batch, settings):
    for x in (
        normalize(batch),
        normalize(batch.double()),
        normalize(batch).contiguous(memory_format=torch.channels_last),
    ):
        before = x.clone()
        result = augment_batch(x, settings, chance())
        assert result.shape == x.shape
        assert result.dtype == x.dtype
        assert result.isfinite().all()
        assert not torch.equal(result, x)
        assert torch.equal(x, before)
        assert torch.equal(result, augment_batch(x, settings, chance()))
        assert not torch.equal(result, augment_batch(x, settings, chance(1)))


def test_the_order_is_crop_gain_erase_dropout():
    x, generator = noise(8, 3, 32, 32), chance()
    expected = gain_and_bias(scale_crop(x, 0.5, generator), 0.1, 0.1, generator)
    expected = channel_dropout(erase(expected, 0.5, generator), 0.5, generator)
    assert torch.equal(augment_batch(x, EVERY, chance()), expected)


def test_a_scale_crop_of_the_whole_changes_nothing():
    x = noise(4, 2, 31, 20).double()
    torch.testing.assert_close(scale_crop(x, 1.0, chance()), x, atol=2e-5, rtol=0)


def test_a_scale_crop_is_an_enlarged_part_inside_the_image():
    height, width = 40, 60
    y, x = torch.arange(height).double(), torch.arange(width).double()
    ramps = torch.stack([y[:, None].expand(height, width), x.expand(height, width)]).expand(200, 2, height, width)
    result = scale_crop(ramps, 0.5, chance())  # where each pixel came from, (B, 2, H, W)
    rows, columns = result[:, 0, :, 0], result[:, 1, 0]  # (B, H), (B, W)
    torch.testing.assert_close(result[:, 0], rows[:, :, None].expand(-1, -1, width))  # no turn, no shear
    steps = torch.diff(rows, dim=1)[:, 2:-2], torch.diff(columns, dim=1)[:, 2:-2]
    side = steps[0].mean(1)
    assert 0.5 <= side.min() < 0.53 and 0.97 < side.max() <= 1
    assert abs(side.mean() - 0.75) < 0.05
    for step in steps:  # even steps, as large across as down
        torch.testing.assert_close(step, side[:, None].expand_as(step), atol=1e-4, rtol=0)
    room = height * (1 - side)
    top = rows[:, height // 2] + 0.5 - (height / 2 + 0.5) * side  # the part's upper edge
    assert (top > -1e-3).all() and (top < room + 1e-3).all()
    small = side < 0.8
    place = (top / room)[small]
    assert place.min() < 0.1 and place.max() > 0.9 and abs(place.mean() - 0.5) < 0.1


def test_gain_and_bias_have_their_spread_in_every_channel():
    x = noise(3000, 6, 2, 2)
    result = gain_and_bias(x, 0.1, 0.3, chance())
    gain = (result[..., 0, 0] - result[..., 1, 1]) / (x[..., 0, 0] - x[..., 1, 1])  # (B, C)
    bias = result[..., 0, 0] - gain * x[..., 0, 0]
    assert (gain.quantile(0.5, 0) - 1).abs().max() < 0.01
    assert ((gain - 1).abs().quantile(0.6827, 0) - 0.1).abs().max() < 0.01
    assert bias.quantile(0.5, 0).abs().max() < 0.03
    assert (bias.abs().quantile(0.6827, 0) - 0.3).abs().max() < 0.03
    assert torch.corrcoef(bias.T.clamp(-1, 1)).fill_diagonal_(0).abs().max() < 0.1  # channels apart
    torch.testing.assert_close(gain_and_bias(x, 0.0, 0.3, chance()) - x, bias_only(x), atol=1e-5, rtol=0)


def bias_only(x: torch.Tensor) -> torch.Tensor:
    return (gain_and_bias(torch.zeros_like(x), 0.0, 0.3, chance())).expand_as(x)


@pytest.mark.parametrize("shape", [(100, 100), (60, 140)])
def test_an_erased_box_is_one_rectangle_of_2_to_20_percent(shape):
    x = noise(300, 2, *shape)
    result = erase(x, 1.0, chance())
    gone = (result == 0).all(1)  # (B, H, W)
    assert torch.equal(result, x.masked_fill(gone[:, None], 0))
    rows, columns = gone.any(2), gone.any(1)
    assert torch.equal(rows[:, :, None] & columns[:, None], gone)
    for side in (rows, columns):  # one run of pixels
        assert (torch.diff(side.int(), dim=1) == 1).sum(1).max() <= 1
        assert side.float().mean(0).min() > 0  # every row is erased sometimes
    area = gone.float().mean((1, 2))
    assert 0.015 < area.min() < 0.03 and 0.18 < area.max() < 0.21
    ratio = (rows.float().mean(1) / columns.float().mean(1)).log()
    assert ratio.abs().max() < 1.35 and abs(ratio.mean()) < 0.15


def test_the_chance_to_erase():
    x = noise(1000, 1, 16, 16)
    erased = (erase(x, 0.3, chance()) != x).flatten(1).any(1)
    assert 0.25 < erased.float().mean() < 0.35


@pytest.mark.parametrize("given", [False, True])
def test_planes_on_the_cpu_are_normalised_as_a_batch_on_a_device_is(given):
    """Bytes take the CPU's own way, the same numbers as floats the device's."""
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 31, 17), dtype=np.uint8)
    images[1, 2] = 7  # a constant channel
    stats = torch.tensor(np.random.default_rng(1).uniform(5, 90, (3, 4, 2)), dtype=torch.float32) if given else None
    here, there = normalize(torch.from_numpy(images), stats), normalize(torch.from_numpy(images).float(), stats)
    assert here.dtype == there.dtype == torch.float32
    torch.testing.assert_close(here, there, atol=1e-5, rtol=1e-5)
    assert given or not here[1, 2].any()
    assert images[1, 2].max() == 7  # left alone


def test_a_nearest_scale_crop_has_only_levels_of_the_image_and_keeps_its_type():
    images = torch.randint(0, 256, (20, 3, 40, 40), generator=chance(1), dtype=torch.uint8)
    settings = {"scale_crop": 0.5, "scale_crop_sampling": "nearest"}
    cropped = crop_pixels(images, settings, chance())
    assert cropped.dtype == torch.uint8 and cropped.shape == images.shape
    for image, view in zip(images, cropped, strict=True):
        assert set(view[0].unique().tolist()) <= set(image[0].unique().tolist())
    ramp = torch.arange(40.0)[:, None].expand(200, 1, 40, 40).contiguous()
    nearest, smooth = (scale_crop(ramp, 0.5, chance(), how)[:, 0, :, 0] for how in ("nearest", "bilinear"))
    assert (nearest == nearest.round()).all() and (nearest - smooth).abs().max() <= 0.51  # of the same squares
    assert crop_pixels(images, {"scale_crop": 0.5}, chance()).dtype == torch.float32


def test_a_square_cut_before_normalisation_has_its_own_statistics():
    """As the winner did: every view has mean 0 and variance 1; cut afterwards it has its image's."""
    bright = torch.zeros(60, 2, 32, 32, dtype=torch.uint8)
    bright[:, :, :, 16:] = 100
    bright += torch.randint(0, 20, bright.shape, generator=chance(2), dtype=torch.uint8)
    settings = {"scale_crop": 0.5, "scale_crop_sampling": "nearest", "scale_crop_norm": "after"}
    own = augment_batch(normalize(crop_pixels(bright, settings, chance())), settings, chance())
    assert own.mean((2, 3)).abs().max() < 1e-4 and (own.square().mean((2, 3)) - 1).abs().max() < 1e-4
    later = augment_batch(normalize(bright), settings | {"scale_crop_norm": "before"}, chance())
    assert later.mean((2, 3)).abs().max() > 0.5


@pytest.mark.parametrize(("low", "high"), [(0.02, 0.33), (0.1, 0.1)])
def test_the_erased_area_is_the_configured_one(low, high):
    x = noise(1500, 1, 80, 80)
    result = augment_batch(x, {"erase": 1.0, "erase_area": [low, high]}, chance())
    area = (result == 0).float().mean((1, 2, 3))
    assert abs(area.min() - low) < 0.01 and abs(area.max() - high) < 0.012
    assert abs(area.mean() - (low + high) / 2) < 0.01


def test_the_statistics_of_a_batch_are_those_that_normalise_it(batch):
    stats = image_stats(batch)
    assert stats.shape == (6, 3, 2) and stats.dtype == torch.float32
    torch.testing.assert_close(normalize(batch, stats), normalize(batch), atol=1e-4, rtol=1e-4)
