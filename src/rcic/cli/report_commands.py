"""One HTML file that shows what was done and what it is worth: ``rcic report``."""

from pathlib import Path

from rcic.cli.flags import check_least
from rcic.ensemble.ensemble_options import EnsembleOptions
from rcic.report.report_options import ReportOptions
from rcic.screen.source import ScreenSource


def report(source: ScreenSource, options: ReportOptions, ensemble: EnsembleOptions, out: str = "report.html") -> None:
    """Write a report that opens offline: ladder, plates, confidence, channels, embeddings, trainings, audit.

    What is not there yet is left out; the page's last lines say what and which command makes it.

    Args:
        out: the file to write.
    """
    check_least("--quality_images", options.quality_images, 0)
    check_least("--map_wells", options.map_wells, 4)

    from rcic.report.compose import report
    from rcic.report.sources import Given

    report(Given(source, options, ensemble), Path(out))


COMMANDS = (report,)
