"""The size of the structure: ``python benchmarks/structure.py [CHECKOUT]`` prints the numbers of decision 12."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def modules(package: Path) -> dict[str, Path]:
    """Return the modules below the package, by dotted name; those of no sub-package count as packages of their own."""
    files = (path for path in package.rglob("*.py") if path.name not in ("__init__.py", "__main__.py"))
    return {".".join(path.relative_to(package).with_suffix("").parts): path for path in files}


def imported(path: Path, known: dict[str, Path]) -> set[str]:
    """Return the modules of the package that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "rcic":
            inside = node.module.removeprefix("rcic").lstrip(".")
            names = {inside} | {f"{inside}.{alias.name}".lstrip(".") for alias in node.names}
            found |= names & known.keys()
    return found


def package_of(module: str) -> str:
    """Return the package of a module; a module of none is one of its own."""
    return module.rpartition(".")[0] or module


def helps(checkout: Path) -> list[int]:
    """Return the number of lines of every command's ``--help``."""
    lengths = []
    scripts = {"data": ["describe", "simulate", "folds", "audit", "levels", "pack"]}
    scripts["train"] = ["run", "explain", "plan", "run-grid", "rerun"]
    scripts["inference"] = ["predict-all", "embed-all", "neighbours", "calibrate", "ensemble", "pseudo-label", "score"]
    for script, commands in scripts.items():
        for command in commands:
            words = [sys.executable, str(checkout / "src" / f"{script}.py"), command, "--help"]
            done = subprocess.run(words, capture_output=True, text=True, env={"PAGER": "cat"}, check=False)
            lengths.append(len((done.stdout + done.stderr).splitlines()))
    return lengths


def _count(arrows: set[tuple[str, str]]) -> int:
    return len({(one, other) for one, other in arrows if one != other})


def numbers(checkout: Path) -> dict[str, object]:
    """Return the numbers of a checkout by name."""
    known = modules(checkout / "src" / "rcic")
    sizes = Counter(map(package_of, known))
    arrows = {(package_of(name), package_of(other)) for name, path in known.items() for other in imported(path, known)}
    stems = Counter(name.rpartition(".")[2] for name in known)
    return {
        "modules": len(known),
        "packages": len(sizes),
        "packages that are one loose module": sum("." not in name for name in known),
        "files in the largest package": f"{max(sizes.values())} ({sizes.most_common(1)[0][0]})",
        "arrows between packages": _count(arrows),
        "packages at the top": len({name.split(".")[0] for name in known}),
        "arrows between those at the top": _count({(one.split(".")[0], other.split(".")[0]) for one, other in arrows}),
        "module names that occur more than once": sum(count > 1 for count in stems.values()),
        "lines of the longest --help": max(helps(checkout)),
        "words of README": len((checkout / "README.md").read_text(encoding="utf-8").split()),
        "lines of README": len((checkout / "README.md").read_text(encoding="utf-8").splitlines()),
    }


if __name__ == "__main__":
    for label, value in numbers(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT).items():
        print(f"{label:40} {value}")
