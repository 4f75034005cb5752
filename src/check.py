"""The check of results and of what they were made from, from a clone: ``python src/check.py --help``."""

from rcic.cli.main import main

if __name__ == "__main__":
    main("check")
