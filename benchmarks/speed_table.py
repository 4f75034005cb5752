"""The page benchmarks/speed.md from what the parts of the speed benchmark found."""

from collections.abc import Iterable, Sequence
from typing import Any

MOST_GROWTH = 1.05  # the exponent of a command that grows with the wells and no faster
DESIGNS = {
    "reference": "reference: six `cv2.imread`, float32, albumentations, nested dict, numpy",
    "png, device": "PNG, (a) augmentation and normalisation on the device",
    "packed, device": "packed, (a) augmentation and normalisation on the device",
    "packed-lz4, device": "packed-lz4, (a) augmentation and normalisation on the device",
    "png, cpu": "PNG, (b) everything on the CPU",
    "packed, cpu": "packed, (b) everything on the CPU",
    "packed-lz4, cpu": "packed-lz4, (b) everything on the CPU",
}


EPOCHS = (
    "The recipe `best` in its bench form (densenet_small, 24 images of 6 x 64 x 64 a step, float32, one thread) on the "
    "simulated bench screen: medians over five epochs of each training, the builds in turns. Parts overlap: optimiser "
    "and augmentation belong to the training batches."
)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def loader_rows(found: dict[str, Any]) -> str:
    """Return samples a second of every design, and the ratio to the reference on as many cores."""
    body = []
    for images in (name for name in ("real", "simulated") if name in found):
        loaders = found[images]["loaders"]
        for name, title in DESIGNS.items():
            rates = [loaders[name][cores] for cores in ("1", "2")]
            ratios = [rate / loaders["reference"][cores] for rate, cores in zip(rates, ("1", "2"), strict=True)]
            cells = [f"{rate:.0f} ({ratio:.1f}x)" for rate, ratio in zip(rates, ratios, strict=True)]
            body.append([images, title, *cells])
    return table(["images", "loader", "one core, samples/s", "two cores, samples/s"], body)


def part_rows(found: dict[str, Any]) -> str:
    """Return where the time of a sample goes."""
    images = [name for name in ("real", "simulated") if name in found]
    names = list(found[images[0]]["parts"])
    body = [[name, *(f"{found[one]['parts'][name]:.2f}" for one in images)] for name in names]
    return table(["ms a sample of five channels, one core", *images], body)


def limit_text(found: dict[str, Any]) -> str:
    """Return how far the packed loader is from what nothing could beat."""
    lines = []
    for images in (name for name in ("real", "simulated") if name in found):
        times = found[images]["parts"]
        names = ("the whole loader", "copy of the pixels", "reading the bytes from the disk", "zstd alone")
        whole, copy, disk, zstd = (times[name] for name in names)
        lines.append(
            f"- {images}: the loader of (a) takes {whole / copy:.0f} times as long as a copy of the pixels and "
            f"{whole / disk:.1f} times as long as its bytes from the disk; zstd is {100 * zstd / whole:.0f} % of it, "
            f"reading from the page cache {100 * times['reading the bytes'] / whole:.0f} %, the rest is Python and "
            "memory for batches"
        )
    return "\n".join(lines)


def format_rows(found: dict[str, Any]) -> str:
    """Return size and speed of stores."""
    body = []
    for images in (name for name in ("real", "simulated") if name in found):
        for name, facts in found[images]["formats"].items():
            cells = [f"{facts['size']:.2f}" if "size" in facts else "-"]
            cells += [f"{facts[key]:.0f}" if key in facts else "-" for key in ("read", "write")]
            body.append([images, name, *cells])
    return table(
        ["images", "store", "size / PNG", "read, five channels, sites/s", "encode, six channels, sites/s"], body
    )


def pack_text(found: dict[str, Any], loaders: dict[str, Any]) -> str:
    """Return what packing costs and after how many epochs it is repaid."""
    lines = []
    for images in (name for name in ("real", "simulated") if name in found):
        facts, rates = found[images]["packing"], loaders[images]["loaders"]
        saved = 1 / rates["png, device"]["2"] - 1 / rates["packed, device"]["2"]
        epochs = 1 / facts["sites a second"] / saved
        lines.append(
            f"- {images}: {facts['sites a second']:.0f} sites a second on two cores, {facts['size against PNG']:.2f} "
            f"times the PNGs' bytes; repaid after {epochs:.1f} epochs of loading (a)"
        )
    flips, kills = found["flips"], found["kills"]
    lines.append(
        f"- {sum(flips.values()):,} bits flipped one at a time in a packed plate: {flips['refused']:,} refused, "
        f"{flips['harmless']:,} changed no pixel, {flips['wrong']:,} returned other pixels"
    )
    lines.append(
        f"- {kills['tried']} packings with `kill -9` at a random instant ({kills['killed']} were still running), begun "
        f"again: {kills['equal']} ended with the very bytes of one that was not interrupted"
    )
    return "\n".join(lines)


def predict_text(found: dict[str, Any]) -> str:
    """Return the times of predicting with many networks."""
    times = found["predictions"]
    counts = list(times["own"])
    body = [[n, f"{times['pass'][n]:.2f}", f"{times['own'][n]:.2f}"] for n in counts]
    few, many = counts[0], counts[-1]
    growth = (times["pass"][many] - times["pass"][few]) / (times["own"][many] - times["own"][few])
    single = times["single"][few] / times["pass"][few]
    return "\n\n".join(
        [
            "densenet_small on 2,304 packed sites of 64 px, five of six channels each, `predict-all` from start to "
            "last file.",
            table(["networks", "one pass, s", "their forward passes in it, s"], body),
            f"From {few} to {many} networks the time grows by {growth:.2f} times what their forward passes take. One "
            f"pass for each of {few} networks takes {single:.2f} times as long as one pass for all.",
        ]
    )


def pair_text(found: dict[str, Any]) -> str:
    """Return the CPU time of predictions in each format, as ratios to another build's where there is one."""
    head = ["network", "px", "plates x sites", "statistics", "views", "other build, ms", "this", "in fp32", "in bf16"]
    body = [_pair_cells(row) for row in found["rows"]]
    return "\n\n".join(
        [
            "`predict-all` from start to last file without imports, packed noise, random weights, one thread: CPU "
            "milliseconds a site, and how many times as fast as the other build (without one, as this build in fp32). "
            "*this* chooses the precision itself and says which in brackets. Answers in bf16 equal the first column's "
            f"on {100 * min(row['equal']['this in bf16'] for row in found['rows']):.1f} % of wells or more.",
            table([*head, "OpenVINO bf16, forward alone, ms"], body),
        ]
    )


def _pair_cells(row: dict[str, Any]) -> list[object]:
    n_sites, times = row["plates"] * row["sites"], row["seconds"]
    anchor = times.get("base", times["this in fp32"])

    def cell(name: str) -> str:
        return f"{1000 * times[name] / n_sites:.2f} ({anchor / times[name]:.2f}x)"

    facts = [row["network"], row["side"], f"{row['plates']} x {row['sites']}", row["bn"], len(row["tta"])]
    base = f"{1000 * anchor / n_sites:.2f}" if "base" in times else "-"
    peer = "-" if row["openvino"] is None else f"{1000 * row['openvino']:.2f}"
    chosen = f"{cell('this')} [{row['auto'][0]}]"
    return [*facts, base, chosen, cell("this in fp32"), cell("this in bf16"), peer]


def epoch_text(found: dict[str, Any]) -> str:
    """Return where the time of an epoch goes, in this build and, if it was trained, another."""
    builds = [name for name in ("base", "this") if name in found]
    names = [name for name in found["this"][0] if all(name in one for build in builds for one in found[build])]
    body = [[name, *(", ".join(f"{one[name]:.2f}" for one in found[build]) for build in builds)] for name in names]
    head = {"base": "other build, CPU s", "this": "this, CPU s"}
    text = table(["part of an epoch", *(head[build] for build in builds)], body)
    if "base" not in found:
        return text
    whole = {build: [one["whole epoch"] for one in found[build]] for build in builds}
    ratios = [base / this for base, this in zip(whole["base"], whole["this"], strict=True)]
    return f"{text}\n\nAn epoch is {', '.join(f'{ratio:.2f}' for ratio in ratios)} times as fast."


def step_text(found: dict[str, Any]) -> str:
    """Return what Catalyst costs."""
    steps = found["steps"]
    return (
        f"A step of densenet_small on 24 images of 6 x 64 x 64: {steps['runner']:.1f} ms in the runner, "
        f"{steps['loop']:.1f} ms in a bare loop with the same steps; ratio {steps['ratio']:.3f} (median of pairs)."
    )


def scale_text(found: dict[str, Any]) -> str:
    """Return memory, start and growth at the full size."""
    worker, every = found["worker"], found["all models"]
    body = [
        [
            f"{row['wells']:,.0f}",
            *(f"{row[key]:.2f}" for key in ("read", "groups", "assignment")),
            f"{row['memory']:.0f}",
        ]
        for row in found["tables"]
    ]
    grows, models = found["tables grow"], found["ensemble grows"]
    body.append(["exponent", *(f"{grows[key]:.2f}" for key in ("read", "groups", "assignment", "memory"))])
    parts = [
        table(["wells", "tables read, s", "groups learnt, s", "plates matched and assigned, s", "memory, MB"], body),
        f"Ensemble of four models at 1, 2 and 4 times the wells: {_list(found['ensemble'], 'seconds')} s, "
        f"{_list(found['ensemble'], 'memory')} MB; exponents {models['seconds']:.2f} and {models['memory']:.2f}.",
        f"{every['models']:.0f} models x {every['wells']:,.0f} test wells x 1,108 classes: {every['seconds']:.1f} s, "
        f"{every['in all'] / 1024:.2f} GB "
        "in all, the memory-mapped predictions among it.",
        f"Loading the {worker['sites']:,.0f} sites of the full tables, four threads: "
        f"{worker['beyond imports']:.0f} MB at most beyond the imports, {worker['batches']:.0f} MB of it batches that "
        f"are ahead. A training's first batch is there {found['first batch']['first batch']:.1f} s after the imports, "
        f"{found['first of files']['first batch']:.1f} s from a folder of image files (names of a few that are in the "
        "page cache).",
    ]
    if "packing" in found:
        grows = found["packing grows"]
        parts.append(
            f"Packing {_list(found['packing'], 'sites')} real sites with one thread: "
            f"{_list(found['packing'], 'seconds')} s, {_list(found['packing'], 'memory')} MB; exponents "
            f"{grows['seconds']:.2f} and {grows['memory']:.2f}."
        )
    return "\n\n".join(parts)


NOT_LINEAR: dict[str, str] = {}  # command -> why an exponent may be above 1.05


def growth_text(found: dict[str, Any]) -> str:
    """Return how CPU seconds and memory of each command grow from once to four times the wells."""
    body, odd = [], []
    for name, measured in found.items():
        if name == "seconds":  # of the measurement
            continue
        rows, grows = measured["rows"], measured["exponents"]
        wells = ", ".join(f"{row['wells']:,.0f}" for row in rows)
        cells = [_list(rows, "seconds"), f"{grows['seconds']:.2f}", _list(rows, "memory"), f"{grows['memory']:.2f}"]
        body.append([name, wells, *cells])
        if max(grows.values()) > MOST_GROWTH:
            odd.append(f"- {name}: {NOT_LINEAR.get(name, 'not explained')}")
    head = ["command", "wells", "CPU seconds", "exponent", "memory, MB", "exponent"]
    linear = f"No exponent is above {MOST_GROWTH}." if not odd else f"Above {MOST_GROWTH}:\n\n" + "\n".join(odd)
    return f"{table(head, body)}\n\n{linear}"


def _list(rows: Sequence[dict[str, float]], key: str) -> str:
    return ", ".join(f"{row[key]:.3g}" if row[key] < 100 else f"{row[key]:.0f}" for row in rows)


def report(found: dict[str, Any], processor: str) -> str:
    """Return the whole page."""
    minutes = sum(part["seconds"] for part in found.values()) / 60
    parts = [
        "# Speed",
        f"Made by `make bench-speed` in {minutes:.0f} minutes on {processor}. Everything within a table was measured "
        "in turns in one run; numbers are medians of five (of three where builds take turns), those under Size and "
        "Growth single measurements. Ratios travel between machines, absolute figures do not. "
        "*real*: 18 sites of RxRx1, repeated; *simulated*: a drawn screen of 512 px.",
        "## Loader, 512 px, five channels",
        loader_rows(found["loader"]),
        "The reference is the design of public pipelines of the competition, written anew for this measurement. In "
        "(a) the CPU reads and decodes; what is left to the device is the last line of the next table, here computed "
        "by the CPU in float32. Where the time of a packed sample goes:",
        part_rows(found["loader"]),
        limit_text(found["loader"]),
        "## Packing",
        pack_text(found["store"], found["loader"]),
        format_rows(found["store"]),
        "One core, sites in random order, files in the page cache; zstd without differences has its frames in memory, "
        "so its reading is without the file system's share.",
        "## Many networks in one pass",
        predict_text(found["predict"]),
        "## Precision and plates' statistics",
        pair_text(found["pairs"]),
        *(["## Training", EPOCHS, epoch_text(found["epochs"])] if "epochs" in found else []),
        "## Catalyst",
        step_text(found["predict"]),
        "## Size",
        scale_text(found["scale"]),
    ]
    if "growth" in found:
        parts += [
            "## Growth",
            "Commands on a screen and on those of two and four times as many experiments, single measurements of CPU "
            "time and memory beyond the imports: exponents below 1 are of what is done once for a screen of any size.",
            growth_text(found["growth"]),
        ]
    return "\n\n".join(parts) + "\n"
