"""Networks by name: a backbone with its ImageNet weights, a stem for any number of channels, a head."""

from rcic.learn.models import timm_trunks  # registers its builders
from rcic.learn.models.backbone import build_backbone, known_backbones
from rcic.learn.models.classifier import WellClassifier, build_model
from rcic.learn.models.site_outputs import SiteOutputs

__all__ = ["SiteOutputs", "WellClassifier", "build_backbone", "build_model", "known_backbones", "timm_trunks"]
