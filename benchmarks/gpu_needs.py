"""What the program needs and this Python lacks: ``python benchmarks/gpu_needs.py``; code 2 if there is anything."""

import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

NEEDS = {  # what is imported: what brings it
    "torch": "torch",
    "torchvision": "torchvision",
    "catalyst": "catalyst-pdm==22.4.1",
    "accelerate": "accelerate==0.34.2",
    "hydra_slayer": "hydra-slayer",
    "tensorboardX": "tensorboardX",
    "google.protobuf": "protobuf",
    "safetensors": "safetensors",
    "huggingface_hub": "huggingface_hub",
    "pretrainedmodels": "pretrainedmodels",
    "munch": "munch",
    "six": "six",
    "segmentation_models_pytorch": "segmentation-models-pytorch",
    "timm": "timm",
    "pytorch_metric_learning": "pytorch-metric-learning",
    "sklearn": "scikit-learn",
    "albumentations": "albumentations",
    "albucore": "albucore",
    "stringzilla": "stringzilla",
    "simsimd": "simsimd",
    "pydantic": "pydantic",
    "pydantic_core": "pydantic_core",
    "annotated_types": "annotated-types",
    "typing_inspection": "typing-inspection",
    "cv2": "opencv-python-headless",
    "tifffile": "tifffile",
    "zarr": "zarr",
    "numcodecs": "numcodecs",
    "donfig": "donfig",
    "zstandard": "zstandard",
    "google_crc32c": "google-crc32c",
    "numpy": "numpy",
    "pandas": "pandas",
    "scipy": "scipy",
    "fire": "fire",
    "termcolor": "termcolor",
    "yaml": "PyYAML",
    "tqdm": "tqdm",
    "psutil": "psutil",
}
NEWEST_ACCELERATE = (0, 34)  # a newer one breaks Catalyst's metrics


def is_there(module: str) -> bool:
    """Return whether a module can be found, which is not yet to import it."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def lacking() -> list[str]:
    """Return the packages that are missing or, of accelerate, too new."""
    missing = [package for module, package in NEEDS.items() if not is_there(module)]
    try:
        found = tuple(int(part) for part in version("accelerate").split(".")[:2])
    except PackageNotFoundError:
        return missing
    return missing + ([NEEDS["accelerate"]] if found > NEWEST_ACCELERATE else [])


def main() -> None:
    """Say what is missing and end with 2, or say nothing."""
    if missing := lacking():
        print(f"missing: {' '.join(missing)}; put their wheels into WHEELS_DIR", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
