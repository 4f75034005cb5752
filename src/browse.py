"""Look at a screen well by well, from a clone: ``python src/browse.py --help``."""

from rcic.cli.main import main

if __name__ == "__main__":
    main("browse")
