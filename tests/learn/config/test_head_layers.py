import pytest

from rcic.learn.config.head_layers import HeadLayer, cancels_metadata, head_layers, joint, parse_layer, tap
from rcic.learn.config.settings import Model


@pytest.mark.parametrize(
    ("text", "layer"),
    [
        ("bn", HeadLayer("bn")),
        ("drop 0.25", HeadLayer("drop", chance=0.25)),
        ("drop .5", HeadLayer("drop", chance=0.5)),
        ("fc 512", HeadLayer("fc", 512)),
        ("fc 1024 no_bias", HeadLayer("fc", 1024, bias=False)),
    ],
)
def test_a_layer_is_a_word_and_its_number(text, layer):
    assert parse_layer(text) == layer


@pytest.mark.parametrize(
    "text", ["", "BN", "fc", "fc 0", "fc 512.0", "drop 1", "drop", "fc 8 bias", "bn ", "fc 999999"]
)
def test_other_words_are_none(text):
    assert parse_layer(text) is None


def test_places_are_counted_in_layers():
    def layers(*words):
        return head_layers(Model(head="layers", layers=words))

    assert joint(layers("bn", "fc 8")) == 1 and joint(layers("fc 8", "bn")) == joint(layers()) == 0
    assert joint(layers("bn", "drop .1", "metadata", "fc 8")) == 2
    assert tap(layers("fc 8", "relu", "fc 8", "bn"), "fc") == 3 and tap(layers("bn"), "fc") == 0
    assert tap(layers("fc 8", "relu"), "output") == 2
    assert cancels_metadata(layers("metadata", "bn", "relu")) and cancels_metadata(layers("fc 8", "bn"))
    assert not cancels_metadata(layers("bn", "fc 8", "relu", "bn")) and not cancels_metadata(layers("bn", "fc 8"))
