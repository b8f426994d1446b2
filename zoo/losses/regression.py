"""Losses between numbers: L1Loss, MSELoss, HuberLoss, SmoothL1Loss."""

from __future__ import annotations

from typing import Literal

from zoo.losses.loss import Pairwise
from zoo.strict import NonNegative, Positive


class L1Loss(Pairwise):
    """Mean of the absolute errors.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.L1Loss.html
    """

    type: Literal["L1Loss"]


class MSELoss(Pairwise):
    """Mean of the squared errors.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html
    """

    type: Literal["MSELoss"]


class HuberLoss(Pairwise):
    """Half the squared error up to delta; beyond it, grows with the error as delta · (|error| - delta / 2).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.HuberLoss.html
    """

    type: Literal["HuberLoss"]
    delta: Positive = 1.0
    """The error at which the square becomes a line."""


class SmoothL1Loss(Pairwise):
    """HuberLoss divided by beta: far from the target its slope is 1.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.SmoothL1Loss.html
    """

    type: Literal["SmoothL1Loss"]
    beta: NonNegative = 1.0
    """The error at which the square becomes a line; 0 is L1Loss."""
