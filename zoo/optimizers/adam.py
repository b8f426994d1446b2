"""Optimizers with running means of the gradient and of its size: Adam, AdamW, Adamax, NAdam, RAdam."""

from __future__ import annotations

from typing import Literal, Self

from zoo.optimizers.optimizer import Decay, Decaying, Group, Options
from zoo.strict import NonNegative, Positive, model_validator


class MeansOptions(Options):
    """What all of this family can say."""

    betas: tuple[Decay, Decay] = (0.9, 0.999)
    """Decay of the running means of the gradient and of its size."""
    eps: Positive = 1e-8
    """Added to the denominator."""
    weight_decay: NonNegative = 0.0
    """L2 penalty: weight_decay · weight is added to the gradient."""
    maximize: bool = False
    """Climb instead of descend."""


class AdamOptions(MeansOptions):
    """The options of Adam."""

    amsgrad: bool = False
    """Use the largest mean square so far."""


class AdamGroup(Group, AdamOptions):
    """Parameters with options of their own; an option that is not written is the optimizer's."""


class Adam(Decaying, AdamOptions):
    """Steps scaled by running means of the gradient and of its square.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html
    """

    type: Literal["Adam"]
    groups: tuple[AdamGroup, ...] = ()
    """Parameters with options of their own."""


class AdamWOptions(AdamOptions):
    """The options of AdamW."""

    weight_decay: NonNegative = 1e-2
    """Decoupled: each step multiplies the weights by 1 - lr · weight_decay."""


class AdamWGroup(Group, AdamWOptions):
    """Parameters with options of their own; an option that is not written is the optimizer's."""


class AdamW(Decaying, AdamWOptions):
    """Adam with decoupled weight decay.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html
    """

    type: Literal["AdamW"]
    groups: tuple[AdamWGroup, ...] = ()
    """Parameters with options of their own."""


class AdamaxOptions(MeansOptions):
    """The options of Adamax."""

    lr: NonNegative = 2e-3
    """Learning rate."""


class AdamaxGroup(Group, AdamaxOptions):
    """Parameters with options of their own; an option that is not written is the optimizer's."""


class Adamax(Decaying, AdamaxOptions):
    """Adam with the largest gradient in place of the mean square.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.Adamax.html
    """

    type: Literal["Adamax"]
    groups: tuple[AdamaxGroup, ...] = ()
    """Parameters with options of their own."""


class DecoupledOptions(MeansOptions):
    """What RAdam and NAdam can say."""

    decoupled_weight_decay: bool = False
    """Weight decay as in AdamW: each step multiplies the weights by 1 - lr · weight_decay."""


class Decoupled(Decaying, DecoupledOptions):
    """What RAdam and NAdam share."""

    @model_validator(mode="after")
    def _decay_is_there(self) -> Self:
        written = [self.options(), *(group.overrides() for group in self.parameter_groups)]
        decoupled = any(options.get("decoupled_weight_decay") for options in written)
        if decoupled and not any(options.get("weight_decay") for options in written):
            raise ValueError(
                "decoupled_weight_decay says nothing without a weight_decay; write one above 0, or remove the option"
            )
        return self


class RAdamGroup(Group, DecoupledOptions):
    """Parameters with options of their own; an option that is not written is the optimizer's."""


class RAdam(Decoupled):
    """Adam that corrects the variance of its first steps.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.RAdam.html
    """

    type: Literal["RAdam"]
    groups: tuple[RAdamGroup, ...] = ()
    """Parameters with options of their own."""


class NAdamOptions(DecoupledOptions):
    """The options of NAdam."""

    lr: NonNegative = 2e-3
    """Learning rate."""
    momentum_decay: NonNegative = 4e-3
    """How fast the momentum grows to its final share."""


class NAdamGroup(Group, NAdamOptions):
    """Parameters with options of their own; an option that is not written is the optimizer's."""


class NAdam(NAdamOptions, Decoupled):
    """Adam with Nesterov momentum.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.NAdam.html
    """

    type: Literal["NAdam"]
    groups: tuple[NAdamGroup, ...] = ()
    """Parameters with options of their own."""
