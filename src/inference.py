"""From trained models to answers, from a clone: ``python src/inference.py --help``."""

from rcic.cli.main import main

if __name__ == "__main__":
    main("inference")
