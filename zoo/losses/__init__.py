"""The losses of the language: one table."""

from typing import Annotated

from zoo.choice import Choice
from zoo.losses.loss import Loss

LOSSES = Choice(
    "loss",
    {
        "zoo.losses.classification": ("CrossEntropyLoss", "MultiMarginLoss", "NLLLoss"),
        "zoo.losses.distribution": ("GaussianNLLLoss", "KLDivLoss", "PoissonNLLLoss"),
        "zoo.losses.labels": (
            "BCELoss",
            "BCEWithLogitsLoss",
            "HingeEmbeddingLoss",
            "MultiLabelMarginLoss",
            "MultiLabelSoftMarginLoss",
            "SoftMarginLoss",
        ),
        "zoo.losses.regression": ("HuberLoss", "L1Loss", "MSELoss", "SmoothL1Loss"),
    },
)
AnyLoss = Annotated[Loss, LOSSES]

__all__ = ["LOSSES", "AnyLoss", "Loss"]
