"""The transforms of the language, torchvision's v2: one file a family, one table for each place of a spec."""

from typing import Annotated, Any

from zoo.choice import Choice
from zoo.strict import BeforeValidator
from zoo.transforms.transform import Transform

_FIXED = {
    "zoo.transforms.color": ("Grayscale", "RGB"),
    "zoo.transforms.conversion": ("Normalize", "ToDtype"),
    "zoo.transforms.geometry": ("CenterCrop", "Pad", "Resize"),
}
_RANDOM = {
    "zoo.transforms.chance": ("RandomApply", "RandomChoice", "RandomOrder"),
    "zoo.transforms.mixing": ("CutMix", "MixUp"),
    "zoo.transforms.policies": ("AugMix", "AutoAugment", "RandAugment", "TrivialAugmentWide"),
    "zoo.transforms.random_color": (
        "ColorJitter",
        "GaussianBlur",
        "GaussianNoise",
        "RandomAdjustSharpness",
        "RandomAutocontrast",
        "RandomChannelPermutation",
        "RandomEqualize",
        "RandomGrayscale",
        "RandomInvert",
        "RandomPhotometricDistort",
        "RandomPosterize",
        "RandomSolarize",
    ),
    "zoo.transforms.random_crop": ("RandomCrop", "RandomErasing", "RandomResizedCrop"),
    "zoo.transforms.random_geometry": (
        "ElasticTransform",
        "RandomAffine",
        "RandomHorizontalFlip",
        "RandomPerspective",
        "RandomRotation",
        "RandomVerticalFlip",
    ),
    "zoo.transforms.random_size": ("RandomResize", "RandomShortestSize", "RandomZoomOut", "ScaleJitter"),
}
TRANSFORMS = Choice("transform", _FIXED)
"""What always does the same."""
AUGMENTATIONS = Choice("augmentation", _FIXED | _RANDOM)
"""What may stand in data.augmentation: those, and what draws anew for every image."""


# Any: a JSON value, or a transform.
def _refuse_random(value: Any) -> Any:
    name = value.get("type") if isinstance(value, dict) else type(value).__name__
    if isinstance(name, str) and any(name in names for names in _RANDOM.values()):
        raise ValueError(f"{name} is random, but transforms are the same for every split; put it into augmentation")
    return value


AnyTransform = Annotated[Transform, TRANSFORMS, BeforeValidator(_refuse_random)]
AnyAugmentation = Annotated[Transform, AUGMENTATIONS]

__all__ = ["AUGMENTATIONS", "TRANSFORMS", "AnyAugmentation", "AnyTransform", "Transform"]
