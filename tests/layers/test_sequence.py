"""What layers on sequences share: heads that divide the features, lengths, and the mask of later steps."""

import pytest
import torch

from agreement import declared
from zoo.errors import ShapeError
from zoo.layers.sequence import causal_mask, divided, steps
from zoo.shapes import Shape

LAYER = declared({"type": "MultiheadAttention", "num_heads": 3})


@pytest.mark.parametrize(
    ("heads", "size", "nearest"), [(3, 8, 2), (11, 12, 12), (5, 7, 7), (3, 10**6, 2), (5, 131071, 1)]
)
def test_heads_that_do_not_divide_are_refused_with_the_nearest_that_do(heads: int, size: int, nearest: int) -> None:
    with pytest.raises(ShapeError) as refusal:
        divided(LAYER, "num_heads", heads, size)
    assert refusal.value.message == f"MultiheadAttention needs num_heads to divide the {size} features"
    assert (refusal.value.remedy, refusal.value.option) == (f"write {nearest}", "num_heads")


def test_heads_that_divide_have_as_many_features_each() -> None:
    assert divided(LAYER, "num_heads", 3, 12) == 4


@pytest.mark.parametrize(
    ("shape", "length"), [(Shape("N", 5, 2), 5), (Shape("N", "T", 2, longest=9), 9), (Shape("N", "T", 2), 1)], ids=str
)
def test_steps_are_the_longest_that_is_known(shape: Shape, length: int) -> None:
    assert steps(shape) == length


def test_the_mask_is_true_where_a_step_would_see_a_later_one() -> None:
    expected = torch.tensor([[False, True, True], [False, False, True], [False, False, False]])
    assert torch.equal(causal_mask(torch.ones(2, 3, 4)), expected)
