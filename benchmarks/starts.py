"""Print the table of benchmarks/starts.sh: held-out wells after the last epoch, folds averaged, by start and seed."""

import sys
from pathlib import Path

import pandas as pd

TITLES = {"stage_I": "stage I (control siRNAs)", "imagenet": "ImageNet", "random": "random weights"}


def read_results(root: Path) -> pd.DataFrame:
    """Return one row a training: start, seed, fold, and map3 and top1 (0..1) of the last epoch."""
    rows = []
    for path in sorted(root.glob("*/*/full/*/fold_*/*/metrics.csv")):
        start, seed, _, _, fold = path.relative_to(root).parts[:5]
        last = pd.read_csv(path).iloc[-1]
        rows.append({"start": start, "seed": seed, "fold": fold, "map3": last["map3"], "top1": last["top1"]})
    return pd.DataFrame(rows)


def main() -> None:
    """Print the markdown table."""
    results = read_results(Path(sys.argv[1]))
    by_seed = results.groupby(["start", "seed"])[["map3", "top1"]].mean()
    print("# What stage I is worth\n")
    print(f"Stage II on the demo screen, held-out experiments, last epoch, {results['fold'].nunique()} folds averaged;")
    print(f"median (lowest - highest) of {results['seed'].nunique()} seeds, in per cent.")
    print("Made by `bash benchmarks/starts.sh`.\n")
    print("| stage II starts from | top-1 | MAP@3 |\n|---|---|---|")
    for start, title in TITLES.items():
        cells = []
        for metric in ("top1", "map3"):
            values = 100 * by_seed.loc[start][metric]
            cells.append(f"{values.median():.1f} ({values.min():.1f} - {values.max():.1f})")
        print(f"| {title} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
