"""LinearFunction: points of a known linear function, to see whether training finds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from zoo.data.data import Example, Inputs, Rows, Split, Truth
from zoo.data.splitting import Seeded
from zoo.data.tabular import read_rows
from zoo.shapes import Shape
from zoo.strict import Count, Field, Integer, NonNegative, Number, Seed, model_validator


class LinearFunction(Seeded):
    """y = weights · x + bias + noise, at points with integer coordinates; the test split holds as many other points."""

    seed_is_used = True

    type: Literal["LinearFunction"]
    weights: Annotated[tuple[Number, ...], Field(min_length=1, max_length=4096)]
    """One weight for each coordinate; their number is the width of a row."""
    bias: Number = 0.0
    """Value at the origin."""
    samples: Annotated[Count, Field(le=10_000_000)]
    """Number of points in each split."""
    low: Integer = 1
    """Smallest coordinate."""
    high: Integer = 50
    """Coordinates stay below this, as in torch.randint."""
    noise: NonNegative = 0.0
    """Standard deviation of the normal noise on the targets of the training split."""
    seed: Seed = 0
    """Seed of the points, of the noise, and of the draw of the rows that are kept out."""

    @model_validator(mode="after")
    def _coordinates_exist(self) -> Self:
        if self.high <= self.low:
            raise ValueError(f"high is {self.high}, not above low, {self.low}; write a high above {self.low}")
        return self

    def example(self) -> Example:
        """Return rows of as many features as there are weights, and one number as target."""
        return Example(Shape("N", len(self.weights)), Shape("N", 1), "features", self.training_rows(self.samples))

    def load(self, split: Split) -> Rows:
        """Return `samples` points; targets are computed in float64 and rounded once."""
        import torch

        generator = torch.Generator().manual_seed(self.seed)
        size = (2 * self.samples, len(self.weights))
        points = torch.randint(self.low, self.high, size, generator=generator, dtype=torch.int64).double()
        noise = torch.randn(self.samples, 1, generator=generator, dtype=torch.float64) * self.noise
        values = points @ torch.tensor(self.weights, dtype=torch.float64).unsqueeze(1) + self.bias  # (2 samples, 1)
        values[: self.samples] += noise
        part = slice(self.samples, None) if split == "test" else slice(0, self.samples)
        return self.choose(Rows(points[part].float(), values[part].float()), split)

    def read(self, inputs: Sequence[str]) -> Inputs:
        """Return rows typed as "1,2,3", or read from CSV files."""
        import torch

        rows = read_rows(inputs, len(self.weights))
        numbers = torch.tensor([numbers for _, numbers in rows], dtype=torch.float32)
        return Inputs(tuple(name for name, _ in rows), numbers.reshape(-1, len(self.weights)))

    def truth(self) -> Truth:
        """Return the weights and the bias."""
        return Truth({"weight": self.weights, "bias": (self.bias,)})
