"""The metrics of the language: one table."""

from typing import Annotated

from zoo.choice import Choice
from zoo.metrics.metric import Metric

METRICS = Choice(
    "metric",
    {
        "zoo.metrics.classification": ("Accuracy", "F1Score", "Perplexity", "Precision", "Recall"),
        "zoo.metrics.regression": ("MeanAbsoluteError", "MeanSquaredError", "R2Score"),
    },
)
AnyMetric = Annotated[Metric, METRICS]

__all__ = ["METRICS", "AnyMetric", "Metric"]
