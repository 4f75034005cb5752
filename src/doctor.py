"""The machine and the versions that the program runs on, from a clone: ``python src/doctor.py --help``."""

from rcic.cli.main import main

if __name__ == "__main__":
    main("doctor")
