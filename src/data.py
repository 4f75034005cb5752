"""Tables and images of a screen, from a clone: ``python src/data.py --help``."""

from rcic.cli.main import main

if __name__ == "__main__":
    main("data")
