"""Embedding and EmbeddingBag beside torch: vectors of tokens, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from agreement import assert_agrees, declared, ruled, torch_refuses
from zoo.errors import ShapeError
from zoo.layers.embedding import Embedding
from zoo.shapes import Shape

SHAPES = (
    Shape("N", 4, dtype="int64"),
    Shape("N", "T", dtype="int64", longest=9),
    Shape("N", dtype="int64"),
    Shape("N", 2, 3, dtype="int64"),
    Shape("N", 4),
    Shape("N", 4, dtype="uint8"),
)
COMMON: dict[str, st.SearchStrategy[Any]] = {
    "padding_idx": st.integers(-4, 4),
    "max_norm": st.sampled_from([0.5, 2.0]),
    "norm_type": st.sampled_from([1.0, 2.0]),
    "scale_grad_by_freq": st.booleans(),
}
OWN: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "Embedding": {},
    "EmbeddingBag": {"mode": st.sampled_from(["sum", "mean", "max"])},
}
ACCEPTED: dict[str, list[bool]] = {name: [] for name in OWN}


@pytest.mark.parametrize("name", OWN)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_layer_agrees_with_torch(name: str, data: st.DataObject) -> None:
    required = {"type": st.just(name), "num_embeddings": st.integers(2, 4), "embedding_dim": st.integers(1, 3)}
    options: dict[str, Any] = data.draw(st.fixed_dictionaries(required, optional=COMMON | OWN[name]))
    shape = data.draw(st.sampled_from(SHAPES))
    try:
        layer = declared(options)
    except ValidationError:
        assert options.get("norm_type") == 1.0 or options.get("mode") == "max"
        return
    accepted = assert_agrees(layer, shape)
    ACCEPTED[name].append(accepted)
    if not accepted:
        count = options["num_embeddings"]
        outside = not -count <= options.get("padding_idx", 0) < count
        assert outside or torch_refuses(getattr(nn, name)(count, 2), shape)


@pytest.mark.parametrize("name", OWN)
def test_a_fair_share_was_accepted(name: str) -> None:
    assert sum(ACCEPTED[name]) >= len(ACCEPTED[name]) / 4


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("padding", [-3, 2])
def test_torch_refuses_a_padding_that_is_no_token(name: str, padding: int) -> None:
    with pytest.raises(AssertionError):
        getattr(nn, name)(2, 3, padding_idx=padding)


def test_torch_cannot_scale_the_gradients_of_a_maximum() -> None:
    module = nn.EmbeddingBag(2, 3, mode="max", scale_grad_by_freq=True)
    assert torch_refuses(module, SHAPES[0])


def test_vectors_are_floats_that_keep_the_longest_length() -> None:
    given = Embedding(type="Embedding", num_embeddings=5, embedding_dim=3).output_shape(SHAPES[1])
    assert (given, given.longest) == (Shape("N", "T", 3), 9)


def test_a_vocabulary_is_what_the_data_says() -> None:
    layer = declared({"type": "Embedding", "num_embeddings": "vocabulary", "embedding_dim": 3, "padding_idx": -65})
    assert ruled(layer.with_sizes({"vocabulary": 65}), SHAPES[0]) == Shape("N", 4, 3)
    assert layer.with_sizes({"vocabulary": 65}).parameter_shapes(SHAPES[0]) == {"weight": (65, 3)}


@pytest.mark.parametrize(
    ("options", "shape", "message", "remedy", "option"),
    [
        (
            {"type": "Embedding"},
            Shape("N", 4),
            "Embedding needs tokens, whole numbers of int64",
            "use data that gives tokens",
            "",
        ),
        (
            {"type": "Embedding", "padding_idx": 5},
            SHAPES[0],
            "Embedding needs padding_idx 5 to be one of its 5 tokens",
            "write a number from 0 to 4",
            "padding_idx",
        ),
        (
            {"type": "EmbeddingBag"},
            SHAPES[3],
            "EmbeddingBag needs rows of tokens (N, T)",
            "bring the rows into that form above it",
            "",
        ),
    ],
    ids=str,
)
def test_a_refusal_says_what_to_write(
    options: dict[str, object], shape: Shape, message: str, remedy: str, option: str
) -> None:
    with pytest.raises(ShapeError) as refusal:
        declared({"num_embeddings": 5, "embedding_dim": 3, **options}).infer((shape,))
    assert (refusal.value.message, refusal.value.remedy, refusal.value.option) == (message, remedy, option)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm_type": 1.0}, "norm_type says nothing without max_norm"),
        ({"type": "EmbeddingBag", "mode": "max", "scale_grad_by_freq": True}, 'with the mode "max"'),
        ({"num_embeddings": "words"}, "num_embeddings"),
    ],
)
def test_an_option_that_says_nothing_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        declared({"type": "Embedding", "num_embeddings": 5, "embedding_dim": 3, **options})
