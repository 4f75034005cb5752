"""Profiles as other programs know them: ``rcic profiles export | screen | import``."""

from pathlib import Path

from rcic.profiles.profile_options import FeatureOptions, ProfileColumns, ScreenColumns
from rcic.screen.source import ScreenSource


def export(
    source: ScreenSource,
    embed_root: str,
    out: str,
    member: str = "",
    prefix: str = "",
    truth: str | None = None,
    by_site: bool = False,
) -> None:
    """Write a member's embeddings, controls included, as one table: CSV, Parquet or AnnData's h5ad.

    Args:
        embed_root: where embed-all, or profiles import, wrote.
        out: the file to write; its ending says what: .csv, .csv.gz, .parquet or .h5ad. Its record is OUT.json.
        member: the folder below EMBED_ROOT, e.g. [1,2,3,4,5]/fold_0/NAME; the first if not given.
        prefix: what the names of features begin with; the model's name if not given, and the features' own names if
            they were imported.
        truth: a CSV with id_code and label (titled as in the screen's tables, or sirna) of test wells; not needed
            where these have the labels.
        by_site: a row for each site, with Metadata_Site; needs embed-all --by_site.
    """
    from rcic.profiles.profile_export import ExportOptions, export_profiles

    export_profiles(source, Path(embed_root), Path(out), ExportOptions(member, prefix, truth, by_site))
    print(f"{out}: written, with its record {out}.json")


def screen(
    places: ProfileColumns,
    columns: ScreenColumns,
    profiles: tuple[str, ...],
    out_dir: str,
    name: str | None = None,
) -> None:
    """Make a screen without images from the metadata of profiles: OUT_DIR/wells.csv and screen.yml.

    Args:
        profiles: files of profiles (CSV, Parquet, h5ad), separated by commas, or a folder of such files.
        out_dir: the data root to make.
        name: the screen's name; that of OUT_DIR if not given.
    """
    from rcic.profiles.profile_screen import make_profile_screen

    root = Path(out_dir)
    made = make_profile_screen(profiles, root, name or root.absolute().name, places, columns)
    wells = {split: len(made.select(split, "treatment")) for split in ("train", "test")}
    counts = f"{wells['train']:,} train and {wells['test']:,} test wells, {len(made.select(kind='control')):,} controls"
    print(f"{root / 'screen.yml'}: {made.n_treatments:,} treatments, {counts}")


def import_(
    source: ScreenSource,
    places: ProfileColumns,
    options: FeatureOptions,
    profiles: tuple[str, ...],
    model: str,
    out_dir: str,
    folds_dir: str = "auto",
    channels: tuple[int, ...] = (),
) -> None:
    """Write profiles of other programs as the embeddings of a model: OUT_DIR/[1,2,3]/fold_K/MODEL/emb_train.npy ...

    Args:
        profiles: files of profiles (CSV, Parquet, h5ad), separated by commas, or a folder of such files.
        model: the name that the model gets.
        out_dir: where the embeddings go; neighbours --embed_root reads them.
        folds_dir: the folds, each of which holds its wells out; auto is the screen's work folder. Without folds there
            is one member, whose queries are the test wells.
        channels: numbers of the channels, for the folder's name; all if not given.
    """
    from rcic.profiles.profile_import import ImportedModel, import_profiles

    target = ImportedModel(model, Path(out_dir), folds_dir, channels)
    folders = import_profiles(source, profiles, target, places, options)
    print(f"{out_dir}: {len(folders)} member{'s' * (len(folders) > 1)} of {model}")


import_.__name__ = "import"  # its name as a command, which Python takes for itself
COMMANDS = (export, screen, import_)
