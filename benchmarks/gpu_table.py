"""The page benchmarks/gpu.md from what the parts of the GPU benchmark found."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Found = Mapping[str, Any]
NO_TIME = "no time was left"
BACKWARD = 3  # a training step computes each layer three times: forward, for its input, for its weights


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a markdown table; empty without rows."""
    body = list(rows)
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) if body else ""


def of(found: Found, function: str) -> dict[str, Any]:
    """Return what a function found, by its word."""
    return {name.partition(" ")[2]: value for name, value in found.items() if name.split(" ")[0] == function}


def mean(values: Sequence[float]) -> float:
    """Return the mean."""
    return sum(values) / len(values)


def network_text(found: Found) -> str:
    """Return the speeds of networks alone, and their shares of the bounds."""
    networks, most = of(found, "network"), found.get("ceilings")
    if not networks or most is None:
        return ""
    return "\n\n".join(
        [
            "## Networks alone",
            f"Images of 5 channels on the device, batch {next(iter(networks.values()))['batch']}, channels_last; a "
            "step is forward, backward and NAdam. fp32 is torch's, whose convolutions round their factors to TF32; "
            "strict fp32 does not.",
            _speeds(networks, of(found, "compiled"), found.get("cold", {})),
            f"A product of bf16 matrices reaches {most['flop'] / 1e12:.0f} TFLOP/s here and a copy "
            f"{most['bytes'] / 1e12:.2f} TB/s, read and written. Nothing goes below max(FLOP / the one, bytes / the "
            "other) of each convolution and matrix product, its operands read once and its result written once, in "
            f"bf16, all between them free; a training step takes {BACKWARD} times a forward pass. The share is that "
            "bound over the time measured in bf16.",
            _bounds(networks, of(found, "compiled")),
        ]
    )


def _speeds(networks: Found, compiled: Found, cold: Found) -> str:
    keys = ["train fp32", "train bf16", "train bf16, cudnn.benchmark", "predict strict fp32", "predict fp32"]
    rows = []
    for model, one in networks.items():
        own = compiled.get(model)
        cells = [f"{own['train']:.0f}", f"{(cold.get(model) or own['first']):.0f} s"] if own else ["-", "-"]
        rows.append([model, *(f"{one[key]:.0f}" for key in keys), f"{one['predict bf16']:.0f}", *cells])
    head = ["images/s", "training fp32", "bf16", "bf16, cudnn.benchmark", "prediction strict fp32", "fp32", "bf16"]
    return table([*head, "training bf16 compiled", "its first step"], rows)


def _bounds(networks: Found, compiled: Found) -> str:
    rows = []
    for model, one in networks.items():
        ms = [f"{1000 * one[key]:.1f}" for key in ("by flop", "by bytes", "by layer")]
        least = one["by layer"] / one["batch"]  # seconds an image
        shares = [least * one["predict bf16"], least * BACKWARD * one["train bf16"]]
        shares += [least * BACKWARD * compiled[model]["train"]] if model in compiled else []
        cells = [f"{100 * share:.0f} %" for share in shares] + ["-"] * (3 - len(shares))
        rows.append([model, f"{one['gflop']:.1f}", *ms, *cells])
    head = ["backbone", "GFLOP an image", "forward of a batch by FLOP, ms", "by bytes", "by the larger of each layer"]
    return table([*head, "share, prediction", "training", "training compiled"], rows)


def curve_text(found: Found) -> str:
    """Return the speeds of the program, and bf16 against fp32."""
    trainings = of(found, "curves")
    if not trainings:
        return ""
    n_steps = len(next(iter(trainings.values()))["fp32"]["losses"])
    speeds = []
    for model, one in trainings.items():
        cells = [f"{one['fp32']['speed']:.0f}", f"{one['bf16']['speed']:.0f}", f"{one['bf16']['memory']:.1f}"]
        speeds.append([model, *cells, f"{one['predict']:.0f}"])
    return "\n\n".join(
        [
            "## The program",
            "Simulated sites from the packed store through loader, augmentation on the device and Catalyst's runner; "
            "prediction as `predict-all` does it, in fp32. Without the first steps.",
            table(["sites/s", "training fp32", "bf16", "its memory, GiB", "prediction"], speeds),
            f"bf16 against fp32 in {n_steps} steps from random weights: the training loss, means of ten steps, and the "
            "mean difference of these means from fp32's, beside that of fp32 from another seed.",
            table(
                ["backbone", "first ten fp32", "last ten fp32", "bf16", "another seed", "gap bf16", "gap of a seed"],
                [_curve(model, one) for model, one in trainings.items()],
            ),
            "Logits of a trained network on test sites against strict fp32: the largest difference as a share of the "
            "largest logit, and how often the first answer is the same.",
            table(
                ["backbone", "as the program predicts (TF32)", "bf16"],
                [
                    [model, *(f"{100 * gap:.2f} %, {100 * same:.1f} %" for gap, same in one["logits"].values())]
                    for model, one in trainings.items()
                ],
            ),
        ]
    )


def _curve(model: str, one: Found) -> list[str]:
    means = {name: smooth(one[name]["losses"]) for name in ("fp32", "bf16", "seed")}
    gaps = [mean([abs(a - b) for a, b in zip(means["fp32"], means[name], strict=True)]) for name in ("bf16", "seed")]
    lasts = [means["fp32"][0], *(means[name][-1] for name in ("fp32", "bf16", "seed"))]
    return [model, *(f"{value:.3f}" for value in (*lasts, *gaps))]


def smooth(values: Sequence[float], n: int = 10) -> list[float]:
    """Return means of ``n`` neighbours, without overlap; of fewer values their mean."""
    return [mean(values[at : at + n]) for at in range(0, len(values) - n + 1, n)] or [mean(values)]


def loader_text(found: Found) -> str:
    """Return whether the loader keeps up."""
    if (own := found.get("loader")) is None:
        return ""
    fastest = max((one["bf16"]["speed"] for one in of(found, "curves").values()), default=None)
    lines = []
    for threads in ("8", "16"):
        if own[threads] is None:
            lines.append(f"- {threads} threads: not measured, the machine has fewer cores")
            continue
        ratio = f", {own[threads] / fastest:.1f} times the fastest training" if fastest else ""
        lines.append(
            f"- {threads} threads on {min(int(threads), own['cores'])} cores: {own[threads]:.0f} sites a second{ratio}"
        )
    lines.append(f"- what the device does of it alone (steps undone, warp, normalise): {own['device']:.0f}")
    return "\n".join(["## Loader\n", "Packed sites to augmented, normalised batches on the device:", *lines])


def plate_text(found: Found) -> str:
    """Return what BatchNorm by plate does."""
    if (own := found.get("plate")) is None:
        return ""
    return (
        "## BatchNorm by plate\n\n"
        f"se_resnext50_32x4d with `model.bn: plate` in bf16: training {own['speed']:.0f} sites/s, prediction, which "
        f"looks at each plate twice, {own['predict']:.0f}. Logits of a plate of {own['sites']} sites, whose pixels are "
        f"normalised by plate, too, differ from the CPU's by {own['gap']:.1e} of the largest (strict fp32)."
    )


def scaler_text(found: Found) -> str:
    """Return what fp16 does."""
    if (own := found.get("scaler")) is None:
        return ""
    lines = [
        f"- {name}: {one['speed']:.0f} sites/s, loss of the last ten steps {smooth(one['losses'])[-1]:.3f}, the scale "
        f"ends at {one['scale']:.0f}"
        for name, one in own.items()
    ]
    return "\n".join(["## fp16 with a scaler\n", *lines])


def rank_text(found: Found) -> str:
    """Return what processes under torchrun did."""
    if not of(found, "ranks"):
        return ""
    return "\n".join(
        ["## torchrun on one card\n", "Processes that share a card talk through gloo, since nccl refuses.\n"]
        + [
            f"- {one['processes']} process{'es' if n != '1' else ''}, {one['backend']}: "
            f"{one['status']} in {one['seconds']:.0f} s with imports, loss {one['train_loss']:.3f} in training, "
            f"{one['valid_loss']:.3f} in validation"
            for n, one in of(found, "ranks").items()
        ]
    )


def recipe_text(found: Found) -> str:
    """Return how every recipe fared."""
    recipes = of(found, "recipe")
    syncs = recipes.pop("syncs", None)
    rows = [[name, f"{one['loss']:.3f}", f"{one['gap']:.1e}" if "gap" in one else "-"] for name, one in recipes.items()]
    parts = [
        "## Every recipe, at a toy's size",
        "Two epochs at 64 px on the card, everything of a recipe switched on; then its logits of the test wells on the "
        "card against the CPU's (strict fp32), as a share of the largest.",
        table(["recipe or case", "training loss", "gap"], rows),
    ]
    if "went on" in recipes:
        parts.append(
            "A training that was broken off after an epoch and went on ends with weights that differ by "
            f"{recipes['went on']['weights']:.1e} at most from those of one that was not."
        )
    if syncs is not None:
        places = ", ".join(f"`{place}` {n}" for place, n in syncs["places"].items()) or "none"
        parts.append(f"Calls that waited for the card in a training of {syncs.get('epochs', 2)} epochs: {places}.")
    return "\n\n".join(part for part in parts if part) if recipes else ""


TEXTS: tuple[Callable[[Found], str], ...] = (
    network_text,
    curve_text,
    loader_text,
    plate_text,
    scaler_text,
    rank_text,
    recipe_text,
)


def report(found: Found, failed: Mapping[str, str], seconds: float) -> str:
    """Return the whole page."""
    where = found.get("ceilings", {}).get("where", "a device")
    head = f"Made by `bash benchmarks/gpu.sh WHEELS_DIR` in {seconds / 60:.1f} minutes on {where}."
    parts = ["# On a GPU", head, *(text(found) for text in TEXTS)]
    if failed:
        parts.append("\n".join(["## What did not work\n", *_failures(failed)]))
    return "\n\n".join(part for part in parts if part) + "\n"


def _failures(failed: Mapping[str, str]) -> list[str]:
    late = [name for name, why in failed.items() if why == NO_TIME]
    lines = [f"- {name}: {why}" for name, why in failed.items() if why != NO_TIME]
    return lines + ([f"- {NO_TIME} for: {', '.join(late)}"] if late else [])
