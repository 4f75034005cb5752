"""The machine and the versions that the program runs on: ``rcic doctor``."""

from pathlib import Path


def doctor(path: Path = Path()) -> None:
    """Print this machine, the versions of packages, what was tested, and what is known to be slow or wrong here.

    Args:
        path: the folder that results are to go to, whose free disk space is told.
    """
    from rcic.doctor.diagnosis import diagnosis_text

    print(diagnosis_text(path))


COMMANDS = (doctor,)
