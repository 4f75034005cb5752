"""Lighting and colour before normalisation: fastai's formulas, ranges and chances over many draws."""

import numpy as np
import pytest
import torch

from rcic.pixels.batches.tone import change_tone, coloured, lit

N, CHANNELS = 2000, (1, 2, 6)
LEVELS = torch.linspace(0.02, 0.9, 12, dtype=torch.float64)


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int = 3) -> torch.Tensor:
    values = np.random.default_rng(0).integers(0, 256, (n, len(CHANNELS), 9, 11), dtype=np.uint8)
    values[..., 0, 0], values[..., 0, 1] = 0, 255
    return torch.from_numpy(values)


def lines(levels: torch.Tensor, most: float, p: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return shift (N,) and slope (N,) of the logits of changed levels."""
    changed = torch.logit(lit(levels.expand(N, 2, -1), most, p, chance()))
    torch.testing.assert_close(changed[:, 0], changed[:, 1])  # all channels alike
    before = torch.logit(levels)
    slope = (changed[:, 0, -1] - changed[:, 0, 0]) / (before[-1] - before[0])
    return changed[:, 0, 0] / slope - before[0], slope


def test_lighting_is_fastais_brightness_and_contrast():
    shift, slope = lines(LEVELS, 0.2, 1.0)
    centre = torch.sigmoid(shift)
    assert 0.4 <= centre.min() < 0.402 and 0.598 < centre.max() <= 0.6 and abs(centre.mean() - 0.5) < 0.005
    assert 0.8 <= slope.min() < 0.803 and 1.245 < slope.max() <= 1.25
    assert abs(slope.log().mean()) < 0.01  # as often larger as smaller


def test_brightness_and_contrast_have_each_their_chance():
    shift, slope = lines(LEVELS, 0.2, 0.75)
    darker, steeper = shift.abs() > 1e-6, (slope - 1).abs() > 1e-6
    for share, wanted in ((darker, 0.75), (steeper, 0.75), (darker & steeper, 0.75**2)):
        assert abs(share.double().mean() - wanted) < 4 * np.sqrt(0.25 / N)


def test_colour_is_a_factor_and_an_offset_of_each_channel_clamped():
    levels = torch.tensor([0.4, 0.6], dtype=torch.float64).expand(N, 3, -1)
    changed = coloured(levels, 0.1, 0.1, chance())
    factor = (changed[..., 1] - changed[..., 0]) / 0.2
    offset = changed[..., 0] - 0.4 * factor
    for values, centre in ((factor, 1.0), (offset, 0.0)):
        assert -0.1 <= (values - centre).min() < -0.098 and 0.098 < (values - centre).max() <= 0.1
        assert abs(values.mean() - centre) < 0.005
        assert torch.corrcoef(values.T).fill_diagonal_(0).abs().max() < 0.1  # channels apart
    ends = coloured(torch.tensor([0.0, 1.0]).expand(N, 3, -1), 0.1, 0.1, chance())
    assert ends.min() == 0 and ends.max() == 1 and 0.4 < (ends[..., 0] == 0).float().mean() < 0.6


@pytest.mark.parametrize("device", ["cpu", "other"])
def test_only_the_chosen_channels_change_and_nothing_is_rounded(device, monkeypatch):
    batch = images()
    if device == "other":
        monkeypatch.setattr("rcic.pixels.batches.tone.cv2.LUT", None)
        batch = batch.as_subclass(_Elsewhere)
    changed = change_tone(
        batch, {"colour_gain": 0.1, "colour_bias": 0.1, "colour_channels": [1, 2]}, CHANNELS, chance()
    )
    changed = changed.as_subclass(torch.Tensor)
    assert changed.dtype == torch.float32 and changed.min() >= 0 and changed.max() <= 255
    torch.testing.assert_close(changed[:, 2], images()[:, 2].float(), atol=1e-4, rtol=0)
    wanted = 255 * coloured((torch.arange(256) / 255).expand(3, 3, -1), 0.1, 0.1, chance())
    for image, channel in ((0, 0), (2, 1)):
        expected = wanted[image, channel][images()[image, channel].long()]
        torch.testing.assert_close(changed[image, channel], expected)
    assert (changed != changed.round()).any()
    assert torch.equal(batch.as_subclass(torch.Tensor), images())


class _Elsewhere(torch.Tensor):
    """A tensor that says that it is not on the CPU, to take the way of a GPU's."""

    @property
    def device(self):
        return _Place("cpu")


class _Place(str):
    type = "elsewhere"


def test_all_channels_change_by_default_and_an_unlit_image_stays_itself():
    changed = change_tone(images(), {"colour_bias": 0.2}, CHANNELS, chance())
    assert (changed != images()).flatten(2).any(2).all()
    still = change_tone(images(), {"lighting": 0.2, "lighting_p": 0.0}, CHANNELS, chance())
    torch.testing.assert_close(still, images().float(), atol=1e-4, rtol=0)


def test_off_is_the_batch_itself_and_draws_nothing():
    generator, batch = chance(), images()
    before = generator.get_state()
    assert change_tone(batch, {"lighting": 0.0, "lighting_p": 0.5}, CHANNELS, generator) is batch
    assert torch.equal(generator.get_state(), before)
