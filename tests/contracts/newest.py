"""Which contracts change with the newest versions that pyproject.toml allows: ``make contracts-newest``.

``python -m tests.contracts.newest PINNED_PYTHON NEWEST_PYTHON FOLDER`` upgrades the packages of the second environment,
runs the contracts in both, and prints a table. Exits with 1 if a contract that was held no longer is.
"""

import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
CONTRACTS = Path("tests") / "contracts"
# test_STEM_contracts.py -> the distribution that it is about, where it has another name than STEM with hyphens
DISTRIBUTIONS = {
    "opencv": "opencv-python-headless",
    "torch-onnx": "torch",
    "catalyst": "catalyst-pdm",
    "faiss": "faiss-cpu",
    "or-tools": "ortools",
}
VERSIONS = """
import importlib.metadata as metadata, sys
for name in sys.argv[1:]:
    try: print(metadata.version(name))
    except metadata.PackageNotFoundError: print("-")
"""


def main(pinned: str, newest: str, folder: Path) -> int:
    """Upgrade, run the contracts in both environments, print the table; return the exit code."""
    install = [newest, "-m", "pip", "install", "--quiet", "--upgrade", "--upgrade-strategy", "eager"]
    subprocess.run([*install, *requirements()], check=True)
    was, now = (outcomes(python, folder / f"{name}.xml") for python, name in ((pinned, "pinned"), (newest, "newest")))
    packages = sorted({package for package, _ in (*was, *now)})
    versions = {
        package: pair for package, *pair in zip(packages, *(found(p, packages) for p in (pinned, newest)), strict=True)
    }
    print("\n".join(table(versions, was, now)))
    return int(any(was.get(key) == "held" and now.get(key) != "held" for key in was))


def requirements() -> list[str]:
    """Return what pyproject.toml allows, and the newest of the packages that only contracts need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "requirements-contracts.txt").read_text().splitlines()
    extras = [line.partition("==")[0] for line in lines if line and not line.startswith("#")]
    return [*project["dependencies"], *project["optional-dependencies"]["profiles"], *extras]


def outcomes(python: str, report: Path) -> dict[tuple[str, str], str]:
    """Run the contracts with an interpreter; return (package, contract) -> held, changed or skipped."""
    command = [python, "-m", "pytest", "--quiet", str(CONTRACTS), f"--junitxml={report}"]
    subprocess.run(command, cwd=ROOT, check=False, stdout=sys.stderr)
    cases = [case for case in ElementTree.parse(report).iter("testcase") if module_of(case).endswith("_contracts")]
    return {(package_of(case), case.get("name", "")): outcome(case) for case in cases}


def module_of(case: ElementTree.Element) -> str:
    """Return the name of a test case's file; a file that is skipped whole is a case of its own."""
    return (case.get("classname") or case.get("name", "")).rpartition(".")[2]


def package_of(case: ElementTree.Element) -> str:
    """Return the distribution that a test case is about, by its file's name."""
    module = module_of(case)
    stem = module.removeprefix("test_").removesuffix("_contracts").replace("_", "-")
    return DISTRIBUTIONS.get(stem, stem)


def outcome(case: ElementTree.Element) -> str:
    """Return what became of a test case."""
    if case.find("skipped") is not None:
        return "skipped"
    return "held" if case.find("failure") is None and case.find("error") is None else "changed"


def found(python: str, packages: list[str]) -> list[str]:
    """Return the installed version of each package, ``-`` for none."""
    command = [python, "-c", VERSIONS, *packages]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def table(
    versions: dict[str, list[str]], was: dict[tuple[str, str], str], now: dict[tuple[str, str], str]
) -> list[str]:
    """Return the lines of a Markdown table: a row for each package, and one for each contract that differs."""
    lines = ["| package | pinned | newest | contract | pinned | newest |", "|---|---|---|---|---|---|"]
    for package, (pinned, newest) in versions.items():
        keys = [key for key in dict.fromkeys((*was, *now)) if key[0] == package]
        counts = [count_text([outcomes.get(key, "absent") for key in keys]) for outcomes in (was, now)]
        lines.append(f"| {package} | {pinned} | {newest} | all {len(keys)} | {' | '.join(counts)} |")
        differing = [key for key in keys if was.get(key) != now.get(key)]
        lines += [f"| | | | {key[1]} | {was.get(key, 'absent')} | {now.get(key, 'absent')} |" for key in differing]
    return lines


def count_text(states: list[str]) -> str:
    """Return how many contracts are in which state: ``3 held, 1 changed``."""
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
