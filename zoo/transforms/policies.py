"""Random transforms that choose among many: AutoAugment, RandAugment, TrivialAugmentWide, AugMix."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from zoo.strict import Field, Positive, model_validator
from zoo.transforms.transform import Fill, SameSize, Warping

Few = Annotated[int, Field(ge=1, le=100)]
Bins = Annotated[int, Field(ge=2, le=1000)]


class Policy(SameSize):
    """What every policy has."""

    few_channels: ClassVar[bool] = True


class AutoAugment(Policy):
    """Two transforms of a policy that was found by search.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.AutoAugment.html
    """

    type: Literal["AutoAugment"]
    policy: Literal["imagenet", "cifar10", "svhn"] = "imagenet"
    """The data the policy was found on."""
    interpolation: Warping = "nearest"
    """How pixels between pixels are found."""
    fill: Fill | None = None
    """Value of pixels from outside; one number, or one for each channel; by default black."""

    def arguments(self) -> dict[str, Any]:
        """Return the options with torchvision's own policy."""
        from torchvision.transforms import v2

        return super().arguments() | {"policy": v2.AutoAugmentPolicy(self.policy)}


class RandAugment(Policy):
    """Several random transforms of one magnitude.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.RandAugment.html
    """

    type: Literal["RandAugment"]
    num_ops: Few = 2
    """How many transforms one after the other."""
    magnitude: Annotated[int, Field(ge=0, le=1000)] = 9
    """How strong, counted from 0, below num_magnitude_bins."""
    num_magnitude_bins: Bins = 31
    """How many magnitudes there are."""
    interpolation: Warping = "nearest"
    """How pixels between pixels are found."""
    fill: Fill | None = None
    """Value of pixels from outside; one number, or one for each channel; by default black."""

    @model_validator(mode="after")
    def _magnitude_is_there(self) -> Self:
        if self.magnitude >= self.num_magnitude_bins:
            raise ValueError(
                f"magnitude {self.magnitude} is not below num_magnitude_bins, {self.num_magnitude_bins}; "
                f"write at most {self.num_magnitude_bins - 1}"
            )
        return self


class TrivialAugmentWide(Policy):
    """One random transform of a random magnitude.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.TrivialAugmentWide.html
    """

    type: Literal["TrivialAugmentWide"]
    num_magnitude_bins: Bins = 31
    """How many magnitudes there are."""
    interpolation: Warping = "nearest"
    """How pixels between pixels are found."""
    fill: Fill | None = None
    """Value of pixels from outside; one number, or one for each channel; by default black."""


class AugMix(Policy):
    """A mixture of several chains of random transforms with the image itself.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.AugMix.html
    """

    type: Literal["AugMix"]
    severity: Annotated[int, Field(ge=1, le=10)] = 3
    """How strong."""
    mixture_width: Few = 3
    """How many chains."""
    chain_depth: Annotated[int, Field(ge=-1, le=100)] = -1
    """How long a chain is; -1 for one to three, drawn anew."""
    alpha: Positive = 1.0
    """Of the Beta and Dirichlet distributions of the weights."""
    all_ops: bool = True
    """Change brightness, contrast, colour and sharpness as well."""
    interpolation: Warping = "bilinear"
    """How pixels between pixels are found."""
    fill: Fill | None = None
    """Value of pixels from outside; one number, or one for each channel; by default black."""

    @model_validator(mode="after")
    def _chains_have_links(self) -> Self:
        if self.chain_depth == 0:
            raise ValueError("a chain of 0 transforms changes nothing; write chain_depth -1, or 1 or more")
        return self
