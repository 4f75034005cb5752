import pytest
import torch

from rcic.pixels.batch import channel_dropout, normalize


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
