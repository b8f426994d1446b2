"""Optimizers: SGD, Adam, AdamW."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from zoo.strict import NonNegative, Number, Positive, Strict

if TYPE_CHECKING:
    from torch import nn, optim

Decay = Annotated[float, Field(ge=0, lt=1)]


class Optimizer(Strict):
    """What every optimizer has."""

    lr: NonNegative = 1e-3
    """Learning rate."""

    @abstractmethod
    def build(self, parameters: Iterable[nn.Parameter]) -> optim.Optimizer:
        """Return the torch optimizer of these parameters."""


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum on request.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html
    """

    type: Literal["SGD"]
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

    @model_validator(mode="after")
    def _momentum_is_there(self) -> Self:
        if self.dampening != 0 and self.momentum == 0:
            raise ValueError("dampening says nothing without a momentum; write a momentum, or remove dampening")
        if self.nesterov and (self.momentum <= 0 or self.dampening != 0):
            raise ValueError("nesterov needs a momentum above 0 and a dampening of 0; write both, or remove nesterov")
        return self

    def build(self, parameters: Iterable[nn.Parameter]) -> optim.Optimizer:
        """Return torch.optim.SGD."""
        from torch import optim

        return optim.SGD(
            parameters,
            lr=self.lr,
            momentum=self.momentum,
            dampening=self.dampening,
            weight_decay=self.weight_decay,
            nesterov=self.nesterov,
            maximize=self.maximize,
        )


class _Adam(Optimizer):
    """What Adam and AdamW share."""

    betas: Annotated[tuple[Decay, Decay], Field()] = (0.9, 0.999)
    """Decay of the running means of the gradient and of its square."""
    eps: Positive = 1e-8
    """Added to the denominator."""
    amsgrad: bool = False
    """Use the largest mean square so far."""
    maximize: bool = False
    """Climb instead of descend."""


class Adam(_Adam):
    """Steps scaled by running means of the gradient and of its square.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html
    """

    type: Literal["Adam"]
    weight_decay: NonNegative = 0.0
    """L2 penalty: weight_decay · weight is added to the gradient."""

    def build(self, parameters: Iterable[nn.Parameter]) -> optim.Optimizer:
        """Return torch.optim.Adam."""
        from torch import optim

        return optim.Adam(
            parameters,
            lr=self.lr,
            betas=self.betas,
            eps=self.eps,
            weight_decay=self.weight_decay,
            amsgrad=self.amsgrad,
            maximize=self.maximize,
        )


class AdamW(_Adam):
    """Adam with decoupled weight decay.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html
    """

    type: Literal["AdamW"]
    weight_decay: NonNegative = 1e-2
    """Decoupled: each step multiplies the weights by 1 - lr · weight_decay."""

    def build(self, parameters: Iterable[nn.Parameter]) -> optim.Optimizer:
        """Return torch.optim.AdamW."""
        from torch import optim

        return optim.AdamW(
            parameters,
            lr=self.lr,
            betas=self.betas,
            eps=self.eps,
            weight_decay=self.weight_decay,
            amsgrad=self.amsgrad,
            maximize=self.maximize,
        )


AnyOptimizer = Annotated[Adam | AdamW | SGD, Field(discriminator="type")]
