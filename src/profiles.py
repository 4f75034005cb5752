"""Profiles as other programs know them, from a clone: ``python src/profiles.py --help``."""

from rcic.cli.main import main

if __name__ == "__main__":
    main("check")
