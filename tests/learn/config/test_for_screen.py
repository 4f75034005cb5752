"""What only a screen can say of a config: its channels."""

import pytest

from rcic.errors import UserError
from rcic.learn.config.for_screen import for_screen


def test_constants_and_colours_are_of_the_screens_channels(config, screen):
    six = {"data__norm": "fixed", "data__norm_means": [20] * 6, "data__norm_stds": [9] * 6}
    assert for_screen(config(**six, data__channels=[1, 2]), screen).data.norm_means == (20.0,) * 6
    five = {name: value[:5] if isinstance(value, list) else value for name, value in six.items()}
    with pytest.raises(UserError, match=r"^data\.norm_means has 5 numbers, but .* has 6 channels; give one for each$"):
        for_screen(config(**five), screen)
    colour = config(augment__colour_gain=0.1, augment__colour_channels=[1, 7])
    with pytest.raises(UserError, match=r"^augment\.colour_channels is \[1, 7\], but .* has only 1, 2, 3, 4, 5, 6$"):
        for_screen(colour, screen)
