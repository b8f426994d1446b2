"""Export: what an exported file must hold to beside being proven."""

from __future__ import annotations

from typing import Annotated

from zoo.strict import Field, Strict


class Export(Strict):
    """What a file of lower precision may lose."""

    min_accuracy_drop: Annotated[float, Field(ge=0, le=100)] = 0.5
    """By how much a metric may be worse in an fp16 or int8 file than in float32: more refuses the file.

    In points for a share, such as accuracy (0.5: from 98.0 % to 97.5 %); in percent of itself for an error.
    """
