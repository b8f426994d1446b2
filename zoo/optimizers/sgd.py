"""Optimizers that step along the gradient or its sign: SGD, ASGD, Rprop."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from zoo.optimizers.optimizer import Decaying, Group, Optimizer, Options
from zoo.strict import Field, NonNegative, Number, Positive


class SGDOptions(Options):
    """The options of SGD."""

    momentum: NonNegative = 0.0
    """Share of the last step that is kept."""
    dampening: Number = 0.0
    """Share of the gradient left out of the momentum."""
    weight_decay: NonNegative = 0.0
    """L2 penalty: weight_decay · weight is added to the gradient."""
    nesterov: bool = False
    """Nesterov momentum; needs a momentum and no dampening."""
    maximize: bool = False
    """Climb instead of descend."""


class SGDGroup(Group, SGDOptions):
    """Parameters with options of their own; an option that is not written is the optimizer's."""


class SGD(Decaying, SGDOptions):
    """Stochastic gradient descent, with momentum on request.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html
    """

    type: Literal["SGD"]
    groups: tuple[SGDGroup, ...] = ()
    """Parameters with options of their own."""

    # Any: the values of torch's options.
    def judge(self, options: dict[str, Any]) -> None:
        """Refuse dampening and Nesterov where there is no momentum.

        Raises:
            ValueError: with what is wrong and what to write.
        """
        momentum, dampening = options["momentum"], options["dampening"]
        if dampening != 0 and momentum == 0:
            raise ValueError("dampening says nothing without a momentum; write a momentum, or remove dampening")
        if options["nesterov"] and (momentum <= 0 or dampening != 0):
            raise ValueError("nesterov needs a momentum above 0 and a dampening of 0; write both, or remove nesterov")


class ASGDOptions(Options):
    """The options of ASGD."""

    lr: NonNegative = 1e-2
    """Learning rate."""
    lambd: NonNegative = 1e-4
    """Decay of the weights and of the learning rate with each step."""
    alpha: NonNegative = 0.75
    """Power of the learning rate's decay."""
    t0: NonNegative = 1e6
    """The step at which averaging starts."""
    weight_decay: NonNegative = 0.0
    """L2 penalty: weight_decay · weight is added to the gradient."""
    maximize: bool = False
    """Climb instead of descend."""


class ASGDGroup(Group, ASGDOptions):
    """Parameters with options of their own; an option that is not written is the optimizer's."""


class ASGD(Decaying, ASGDOptions):
    """Averaged stochastic gradient descent; the average is in the optimizer's state, the weights are the last ones.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.ASGD.html
    """

    type: Literal["ASGD"]
    groups: tuple[ASGDGroup, ...] = ()
    """Parameters with options of their own."""


class RpropOptions(Options):
    """The options of Rprop."""

    lr: NonNegative = 1e-2
    """The first step of each weight."""
    etas: tuple[Annotated[float, Field(gt=0, lt=1)], Annotated[float, Field(gt=1, le=1e30)]] = (0.5, 1.2)
    """Factors of a weight's step when the sign of its gradient changes, and when it stays."""
    step_sizes: tuple[Positive, Positive] = (1e-6, 50.0)
    """The least and the largest step."""
    maximize: bool = False
    """Climb instead of descend."""


class RpropGroup(Group, RpropOptions):
    """Parameters with options of their own; an option that is not written is the optimizer's."""


class Rprop(Optimizer, RpropOptions):
    """Steps by the sign of the gradient alone; meant for steps of all rows at once.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.Rprop.html
    """

    type: Literal["Rprop"]
    groups: tuple[RpropGroup, ...] = ()
    """Parameters with options of their own."""

    # Any: the values of torch's options.
    def judge(self, options: dict[str, Any]) -> None:
        """Refuse a least step above the largest.

        Raises:
            ValueError: with what is wrong and what to write.
        """
        if options["step_sizes"][0] > options["step_sizes"][1]:
            raise ValueError("step_sizes has its least step above its largest; write the smaller number first")
