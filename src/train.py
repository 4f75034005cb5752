"""Training, from a clone: ``python src/train.py --help``."""

from rcic.cli.main import main

if __name__ == "__main__":
    main("train")
