"""The architecture: which package may import which, no circles, one name one meaning, what a file must not hold."""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"
PACKAGE = SRC / "rcic"

ANYONE = {"errors", "files", "schema"}  # open to all
LAYERS = {  # a package -> the packages that it may import, besides those open to all
    "errors": set(),
    "files": set(),
    "schema": set(),
    "screen": set(),
    "launch": set(),
    "simulate": {"screen"},
    "instruments": {"screen"},
    "pixels": {"screen", "launch", "instruments"},
    "discover": {"screen", "instruments", "pixels"},
    "decide": {"screen"},
    "ensemble": {"screen", "decide"},
    "profiles": {"screen", "decide", "ensemble"},
    "learn": {"screen", "pixels", "decide", "launch"},
    "check": {"screen", "pixels", "decide", "learn"},
    "doctor": set(),
    "report": {"screen", "pixels", "decide", "ensemble", "profiles", "check"},
    "browse": {"screen", "pixels", "decide", "ensemble", "profiles"},
    "cli": {
        *("screen", "simulate", "pixels", "decide", "ensemble", "profiles", "learn", "launch", "check", "report"),
        *("browse", "discover", "doctor"),
    },
}
INNER = {  # packages within a package, from the bottom up: each may import those before it
    "learn": ("config", "runs", "models", "data", "predict", "train", "grid"),
    "pixels": ("images", "packed", "audit", "batches"),
}
HEAVY = {"torch", "torchvision", "catalyst", "accelerate", "timm", "cv2", "albumentations"}
CLUSTERS = {"ray", "submitit"}  # optional; only "launch" knows them
WITH_TORCH = {"pixels", "learn", "doctor"}  # "pixels" because a dataset is torch's
WITH_CV2 = {"simulate", "pixels", "report"}

MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
SOURCES = {module: (PACKAGE / module).read_text(encoding="utf-8") for module in MODULES}
PARTS = [module for module in MODULES if module.name != "__init__.py"]


@cache
def parsed(text: str) -> ast.Module:
    """Return a module's syntax tree; each is asked for by several tests."""
    return ast.parse(text)


def imports(text: str) -> Iterator[str]:
    """Yield the dotted name of every import of a module, also of those inside functions."""
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import in line {node.lineno}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def wrong_imports(module: str, text: str) -> list[str]:
    """Return the imports of a module, ``learn/train/run``, that lead up, or to a library that it must not know."""
    package, *rest = module.split("/")
    allowed = {package, "__version__", *ANYONE, *LAYERS[package]}
    banned = CLUSTERS - (CLUSTERS if package == "launch" else set())
    banned |= HEAVY - (HEAVY if package in WITH_TORCH else {"cv2"} if package in WITH_CV2 else set())
    wrong = []
    for name in imports(text):
        first, *inside = name.split(".")
        if first in banned or (first == "rcic" and (inside[0] not in allowed or _leads_up(package, rest, inside))):
            wrong.append(name)
    return wrong


def _leads_up(package: str, here: list[str], there: list[str]) -> bool:
    """Tell whether an import within one package leads to an inner package above the module's own."""
    order = INNER.get(package, ())
    if there[0] != package or len(there) < 2 or there[1] not in order:
        return False
    return here[0] not in order or order.index(there[1]) > order.index(here[0])


@pytest.mark.parametrize("module", PARTS, ids=str)
def test_imports_lead_down(module):
    name = module.with_suffix("").as_posix()
    assert name.split("/")[0] in {*LAYERS, "__main__"}, f"{module} is in a package that the layers do not name"
    if name != "__main__":
        assert wrong_imports(name, SOURCES[module]) == []


@pytest.mark.parametrize("package", sorted(INNER))
def test_every_inner_package_is_named(package):
    there = {path.name for path in (PACKAGE / package).iterdir() if (path / "__init__.py").exists()}
    assert there == set(INNER[package])


def test_no_module_imports_itself_in_a_circle():
    graph = {_dotted(module): _modules(SOURCES[module]) - {_dotted(module), "rcic"} for module in PARTS}
    assert _circle(graph) == []


def _dotted(module: Path) -> str:
    return ".".join(("rcic", *module.with_suffix("").parts)).removesuffix(".__init__")


def _modules(text: str) -> set[str]:
    """Return the modules of the package that a module imports, also for type checking only."""
    known = {_dotted(module) for module in MODULES}
    return {module for name in imports(text) for module in ({name} & known or {name.rpartition(".")[0]} & known)}


def _circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Return the modules of a circle of imports, none if there is no circle."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_a_circle_is_found():
    assert _circle({"a": {"b"}, "b": {"a"}}) != []
    assert _circle({"a": {"b"}, "b": set()}) == []


def test_no_module_name_stands_twice():
    stems = defaultdict(list)
    for module in PARTS:
        stems[module.stem].append(str(module))
    assert {stem: paths for stem, paths in stems.items() if len(paths) > 1} == {}


def test_no_public_name_has_two_definitions():
    """A name that another file defines otherwise makes every reader ask which is meant."""
    places = defaultdict(list)
    for module in PARTS:
        if module.name.endswith("_commands.py"):
            continue  # a command bears the name of the function that it calls
        for name in public_names(SOURCES[module]):
            places[name].append(str(module))
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def public_names(text: str) -> set[str]:
    """Return the functions, classes and variables that a module defines for others."""
    names: set[str] = set()
    for node in parsed(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    return {name for name in names if not name.startswith("_")}


def test_no_signature_has_more_than_eight_parameters():
    """More than that is a record that wants to be a dataclass, as the families of flags are."""
    wide = []
    for module in PARTS:
        for node in ast.walk(parsed(SOURCES[module])):
            if isinstance(node, ast.FunctionDef):
                names = [one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
                count = len([name for name in names if name not in ("self", "cls")])
                wide += [f"{module}:{node.name}"] if count > 8 else []
    assert wide == []


def test_only_the_command_line_prints():
    """Library code tells what happens through logging, so that a notebook or a service can decide where it goes."""
    calls = [
        f"{module}:{node.lineno}"
        for module in PARTS
        if module.parts[0] != "cli"
        for node in ast.walk(parsed(SOURCES[module]))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert calls == []


@pytest.mark.parametrize("script", sorted(SRC.glob("*.py")), ids=lambda path: path.name)
def test_a_script_stands_on_the_package_alone(script):
    found = {name.split(".")[0] for name in imports(script.read_text())}
    assert found - {"rcic"} <= set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    ("module", "text", "wrong"),
    [
        ("screen/table", "from rcic.decide.blend import average", ["rcic.decide.blend.average"]),
        ("screen/table", "import rcic.pixels.images.store", ["rcic.pixels.images.store"]),
        ("decide/blend", "def f():\n    from rcic import learn", ["rcic.learn"]),
        ("decide/blend", "import torch.nn as nn", ["torch.nn"]),
        ("decide/blend", "import numpy as np\nfrom rcic.screen.table import Screen\nimport rcic.errors", []),
        ("simulate/cell", "import cv2", []),
        ("learn/train/run", "import ray", ["ray"]),
        ("launch/on_ray", "import ray, submitit", []),
        ("ensemble/scoring", "from rcic.learn.runs import checkpoint", ["rcic.learn.runs.checkpoint"]),
        (
            "learn/grid/plan",
            "from rcic.simulate.simulation import simulate",
            ["rcic.simulate.simulation.simulate"],
        ),
        ("learn/models/heads", "from rcic.learn.train.run import train", ["rcic.learn.train.run.train"]),
        ("learn/train/run", "from rcic.learn.models.heads import Head", []),
        ("pixels/images/tiff", "from rcic.pixels.audit import findings", ["rcic.pixels.audit.findings"]),
    ],
)
def test_a_wrong_import_is_found(module, text, wrong):
    assert wrong_imports(module, text) == wrong


METHODS = {"open", "read_text", "read_bytes", "load", "open_memmap", "memmap", "fromfile", "loadtxt", "genfromtxt"}
FUNCTIONS = {"open", "TiffFile", "imread", "ZipFile", "read_csv", "read_table", "load_file", "copyfile", "safe_open"}
REGULAR = {"regular_path", "read_regular", "BytesIO", "StringIO"}  # what a reader may be given
READ_OTHERWISE = {  # module: call -> why a reader is called without them
    "cli/main: os.open(os.devnull, os.O_WRONLY)": "writes",
    "files/atomic: temporary.open('rb')": "a file that the line above wrote",
    "files/atomic: os.open(folder, os.O_RDONLY | os.O_DIRECTORY)": "a folder, to sync it",
    "files/atomic: os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 438)": "a new file",
    "files/disk: os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)": "to lock it; does not wait",
    "files/held: os.open(folder, os.O_RDONLY | os.O_DIRECTORY)": "a folder, to hold it",
    "files/lock: os.open(path, os.O_RDONLY | os.O_NONBLOCK | flags)": "to lock it; does not wait",
    "files/lock: os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)": "the owner's name; does not wait",
    "files/lock: os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 420)": "a lock, no wait",
    "launch/command: log.read_text(encoding='utf-8', errors='replace')": "a log of this program; no package there",
    "learn/models/weights: load_file(path)": "opened by open_regular before",
    "learn/models/weights: torch.load(path, map_location='cpu', weights_only=True)": "opened by open_regular before",
    "learn/runs/checkpoint: torch.load(path, map_location='cpu', weights_only=True, mmap=True)": "opened before",
    "learn/runs/checkpoint: zipfile.ZipFile(file)": "what open_regular opened",
    "pixels/images/tiff_axes: tifffile.TiffFile(path, is_ome=False, is_mmstack=False, is_ndtiff=False)": "checked",
    "pixels/packed/pack_plates: (folder / ARRAY).open('rb')": "a file that the lines above wrote",
    "pixels/packed/pack_screen: shutil.copyfile(screen.root / file, temporary)": "a table that was read before",
    "report/page: (resources.files('rcic.report') / 'assets' / name).read_text(encoding='utf-8')": "of the package",
    "simulate/plate_images: cv2.imread(str(path), cv2.IMREAD_UNCHANGED)": "asks is_file before",
}
NO_READERS = {"webbrowser", "launch", "self.launch", "backbone"}  # whose `open` or `load` opens no file


def readers_of(text: str) -> Iterator[str]:
    """Yield the calls of a module that read a file by a path of their own, not by rcic.files.regular."""
    for node in ast.walk(parsed(text)):
        if not isinstance(node, ast.Call) or _writes(node):
            continue
        names = FUNCTIONS if isinstance(node.func, ast.Name) else METHODS | FUNCTIONS
        given = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        owner = ast.unparse(given[0]) if given else ""
        calls = [part for part in (*given, *node.args) if isinstance(part, ast.Call)]
        if (
            _called(node.func) in names
            and owner not in NO_READERS
            and not any(_called(call.func) in REGULAR for call in calls)
        ):
            yield ast.unparse(node)


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _writes(call: ast.Call) -> bool:
    """Tell whether a call of open is given a mode that writes."""
    return any(isinstance(arg, ast.Constant) and str(arg.value)[:1] in "wax" for arg in call.args)


def test_files_are_read_by_rcic_files_regular_only():
    """A pipe, a device or a folder in the place of a file would be waited for, or told as something else."""
    found = {
        f"{module.with_suffix('')}: {call}"
        for module in PARTS
        if module.as_posix() != "files/regular.py"
        for call in readers_of(SOURCES[module])
    }
    assert found == set(READ_OTHERWISE), "read it with rcic.files.regular, or say here why not"


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ("open(path)", True),
        ("Path(name).open('rb')", True),
        ("path.read_text(encoding='utf-8')", True),
        ("pd.read_csv(folder / METRICS)", True),
        ("np.load(path)", True),
        ("pd.read_csv(io.BytesIO(read_regular(path)))", False),
        ("np.lib.format.open_memmap(regular_path(path), mode='r')", False),
        ("path.open('wb')", False),
        ("webbrowser.open(url)", False),
    ],
)
def test_a_reader_is_found(line, is_found):
    assert bool(list(readers_of(line))) == is_found


LOCAL = re.compile(
    r"/(home|Users|root|work|mnt|data\d*)/|CUDA_VISIBLE_DEVICES\W*\d|cuda:\d|device_ids|--gpus[ =]\S*device"
)


def test_no_file_knows_one_machine():
    """Data root, log root and devices are flags and config values, never written in a file."""
    files = [path for folder in ("src", "configs", "bin", "docker") for path in (ROOT / folder).rglob("*")]
    texts = {path: path.read_text() for path in files if path.is_file() and path.suffix != ".pyc"}
    assert len(texts) > 50
    found = [f"{path.relative_to(ROOT)}: {hit[0]}" for path, text in texts.items() if (hit := LOCAL.search(text))]
    assert found == []


@pytest.mark.parametrize(
    "line", ["root: /home/me/rxrx1", "export CUDA_VISIBLE_DEVICES=0,1", "device='cuda:1'", "--gpus device=0"]
)
def test_a_machine_s_own_facts_are_found(line):
    assert LOCAL.search(line)
