"""One HTML file that shows what was done and what it is worth, from a clone: ``python src/report.py --help``."""

from rcic.cli.main import main

if __name__ == "__main__":
    main("report")
