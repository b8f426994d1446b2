"""StoredText: windows of a text, cut when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.data.data import Rows
from zoo.data.pieces import read_pieces
from zoo.data.stored import Stored

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class StoredText(Stored):
    """Windows of a part of a text."""

    text: str | Tensor
    """A file whose bytes are the tokens; or the numbers of the tokens, in the smallest dtype that holds them."""
    part: range
    """Where the part lies in the text."""
    context: int
    """Tokens in a window."""
    stride: int
    """Tokens from one window to the next."""

    def __len__(self) -> int:
        """Return how many windows with a following token there are."""
        return max(0, (len(self.part) - self.context - 1) // self.stride + 1)

    @property
    def targets(self) -> Tensor:
        """Return the tokens that follow each token of each window, int64 of (N, context)."""
        return self.load().targets

    def read(self, numbers: Sequence[int], threads: int | None = None) -> Rows:
        """Return windows as int64 of (N, context), and the same one token later."""
        import torch

        starts = [self.part.start + number * self.stride for number in numbers]
        if isinstance(self.text, str):
            windows = torch.from_numpy(read_pieces(self.text, starts, self.context + 1)).long()
        else:
            places = torch.tensor(starts).unsqueeze(1) + torch.arange(self.context + 1)  # (N, context + 1)
            windows = self.text[places].long()
        return Rows(windows[:, :-1], windows[:, 1:])

    def resident(self, row: int) -> int:
        """Return how many bytes the part takes in memory: windows that overlap are views of the same numbers."""
        return 2 * 8 * len(self.part)  # int64; on a GPU inputs and targets are copied one by one
