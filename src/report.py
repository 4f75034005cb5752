"""One HTML file that shows what was done and what it is worth: ``python src/report.py --data_root D ...``."""

from pathlib import Path

from rcic.cli import main as cli


def report(
    data_root: str,
    log_root: str = "",
    predict_root: tuple[str, ...] = (),
    out: str = "report.html",
    truth: str | None = None,
    audit_dir: str = "csv/audit",
    embed_root: str = "",
    model_names: tuple[str, ...] = (),
    weights: tuple[float, ...] = (),
    calibration: str | None = None,
    sinkhorn: bool = False,
    quality_images: int = 50_000,
    map_wells: int = 2000,
) -> None:
    """Write a report that opens offline: ladder, plates, confidence, channels, embeddings, trainings, audit.

    What is not there yet is left out; the page's last lines say what and which command makes it.

    Args:
        data_root: the folder with the screen's CSV files and images.
        log_root: the run folders of all stages, e.g. logs.
        predict_root: where predict-all wrote; several are compared, e.g. predictions/full,predictions/pseudo, and the
            last one answers.
        out: the file to write.
        truth: a CSV with id_code,sirna of test wells; not needed where the screen's own tables tell.
        audit_dir: where data.py audit wrote.
        embed_root: where embed-all wrote.
        model_names: only these models, e.g. a,b (NAME@: all of NAME's cell types); all if not given.
        weights: one a model, e.g. 2,1.
        calibration: the file that calibrate wrote.
        sinkhorn: balance each plate before the assignment.
        quality_images: read at most so many images to see brightness and focus by well; 0 reads none.
        map_wells: the map of embeddings shows at most so many wells.
    """
    cli.check_least("--quality_images", quality_images, 0)
    cli.check_least("--map_wells", map_wells, 4)

    from rcic.ensemble.predictions import Ensemble
    from rcic.report.compose import report
    from rcic.report.sources import Given

    ensemble = Ensemble(model_names, weights, calibration, sinkhorn)
    paths = (data_root, log_root, predict_root, truth, audit_dir, embed_root)
    report(Given(*paths, ensemble, quality_images, map_wells), Path(out))


if __name__ == "__main__":
    cli.main({"report": report})
