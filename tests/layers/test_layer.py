"""What every layer shares: ids, named sizes, agreed sizes, batches, and names that torch keeps for itself."""

import keyword

import pytest
import torch
from pydantic import ValidationError
from torch import fx, nn

from zoo.check import RESERVED
from zoo.errors import ShapeError
from zoo.layers.activation import ReLU
from zoo.layers.layer import Layer, agreed, axis_size, features, kind, require_float
from zoo.layers.linear import Identity, Linear
from zoo.layers.normalization import BatchNorm1d, LayerNorm
from zoo.shapes import Shape

NAMED = Linear(type="Linear", out_features="classes", bias=False, id="head")
PLAIN = Linear(type="Linear", out_features=3)
TORCH_NAMES = {name for name in dir(nn.Sequential()) if not name.startswith("_")}
WORDS = {"input", "shortcut"}  # these have a meaning in the language itself
ARGUMENT = {"self"}  # what the code of a graph calls its module, and would call a layer's output
GRAPH_NAMES = {name for name in dir(fx.symbolic_trace(nn.Sequential())) if not name.startswith("_")}


def torch_module_takes(name: str) -> bool:
    try:
        nn.Sequential().add_module(name, nn.ReLU())
    except KeyError:
        return False
    return True


def torch_graph_carries(name: str) -> bool:
    """Return whether torch.fx, which every export goes through, can hold a layer of this name."""
    module = nn.Sequential()
    module.add_module(name, nn.Linear(2, 2))
    try:
        graph = fx.symbolic_trace(module)
        return torch.equal(graph(torch.ones(3, 2)), module(torch.ones(3, 2)))
    except (SyntaxError, RuntimeError, AttributeError, TypeError):
        return False


def test_a_named_size_becomes_its_number() -> None:
    assert NAMED.with_sizes({"classes": 10}).out_features == 10


def test_the_other_options_stay_when_a_size_is_named() -> None:
    sized = NAMED.with_sizes({"classes": 10})
    assert (sized.type, sized.bias, sized.id, sized.in_features) == ("Linear", False, "head", None)


def test_the_declared_layer_stays_named() -> None:
    NAMED.with_sizes({"classes": 10})
    assert NAMED.out_features == "classes"


@pytest.mark.parametrize("layer", [PLAIN, ReLU(type="ReLU", id="classes"), Identity(type="Identity")])
def test_a_layer_without_named_sizes_stays_as_it_is(layer: Layer) -> None:
    assert layer.with_sizes({"classes": 10}) == layer


def test_a_size_that_the_data_does_not_know_is_refused_at_its_option() -> None:
    with pytest.raises(ShapeError) as refusal:
        NAMED.with_sizes({})
    assert (refusal.value.message, refusal.value.remedy, refusal.value.option) == (
        'the data has no "classes"',
        "write a number, or use data that has them",
        "out_features",
    )


@pytest.mark.parametrize("written", [None, 5])
def test_agreed_gives_the_size_of_the_input(written: int | None) -> None:
    assert agreed(PLAIN, "in_features", written, 5, "features") == 5


def test_another_written_size_is_refused_with_both_sizes() -> None:
    with pytest.raises(ShapeError) as refusal:
        agreed(PLAIN, "in_features", 784, 512, "features")
    assert (refusal.value.message, refusal.value.remedy, refusal.value.option) == (
        "Linear expects 784 features",
        "remove in_features (it follows from the layer above), or write 512",
        "in_features",
    )


@pytest.mark.parametrize("dtype", ["uint8", "int64"])
def test_whole_numbers_are_refused_with_the_way_to_convert_them(dtype: str) -> None:
    with pytest.raises(ShapeError) as refusal:
        require_float(PLAIN, Shape("N", 5, dtype=dtype))
    assert (refusal.value.message, refusal.value.remedy, refusal.value.option) == (
        "Linear needs float32 numbers",
        'convert them first: {"type": "ToDtype", "dtype": "float32", "scale": true} in data.transforms',
        "",
    )


def test_features_is_the_last_axis() -> None:
    assert features(PLAIN, Shape("N", 3, 5)) == 5


def test_a_row_without_an_axis_has_no_features() -> None:
    with pytest.raises(ShapeError) as refusal:
        features(PLAIN, Shape("N"))
    assert (refusal.value.message, refusal.value.remedy, refusal.value.option) == (
        "Linear needs an axis after the batch",
        "keep one in the layer above",
        "",
    )


@pytest.mark.parametrize(
    ("layer", "written"), [(PLAIN, "Linear"), (BatchNorm1d(type="BatchNorm1d"), "BatchNorm1d")], ids=str
)
def test_kind_is_the_type_that_the_spec_writes(layer: Layer, written: str) -> None:
    assert kind(layer) == written


@pytest.mark.parametrize(
    ("layer", "shape", "fewest"),
    [
        (BatchNorm1d(type="BatchNorm1d"), Shape("N", 4), 2),
        (BatchNorm1d(type="BatchNorm1d"), Shape("N", 4, 1), 2),
        (BatchNorm1d(type="BatchNorm1d"), Shape("N", 4, 2), 1),
        (BatchNorm1d(type="BatchNorm1d"), Shape("N", 1, 2), 1),
        (BatchNorm1d(type="BatchNorm1d", track_running_stats=False), Shape("N", 1), 2),
        (LayerNorm(type="LayerNorm"), Shape("N", 4), 1),
        (PLAIN, Shape("N", 4), 1),
    ],
    ids=str,
)
def test_the_smallest_training_batch_is_as_many_rows(layer: Layer, shape: Shape, fewest: int) -> None:
    assert layer.smallest_training_batch(shape) == fewest


@pytest.mark.parametrize("shape", [Shape("N", 4), Shape("N", 4, 1), Shape("N", 1)], ids=str)
def test_torch_refuses_to_train_batch_norm_on_fewer_rows(shape: Shape) -> None:
    layer = BatchNorm1d(type="BatchNorm1d")
    rows = torch.ones(layer.smallest_training_batch(shape) - 1, *shape.row)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
        layer.build(shape).train()(rows)


@pytest.mark.parametrize("name", ["a", "stem", "layer_1", "Conv2", "A" * 64])
def test_a_word_is_an_id(name: str) -> None:
    assert ReLU(type="ReLU", id=name).id == name


@pytest.mark.parametrize("name", ["", "1", "1a", "_a", "a.b", "a b", "a-b", "é", "a\n", "A" * 65])
def test_a_name_that_a_state_dict_could_not_hold_is_no_id(name: str) -> None:
    with pytest.raises(ValidationError):
        ReLU(type="ReLU", id=name)


def test_every_name_that_torch_modules_have_is_reserved() -> None:
    assert sorted(TORCH_NAMES - RESERVED) == []


def test_every_name_that_no_export_could_carry_is_reserved() -> None:
    names = {*keyword.kwlist, *GRAPH_NAMES} - TORCH_NAMES
    assert [name for name in sorted(names - RESERVED) if not torch_graph_carries(name)] == []


def test_no_other_name_is_reserved_that_torch_takes_and_exports_carry() -> None:
    reserved = sorted(RESERVED - WORDS - ARGUMENT)
    assert [name for name in reserved if torch_module_takes(name) and torch_graph_carries(name)] == []


def test_a_layer_of_rows_needs_the_batch_first() -> None:
    with pytest.raises(ShapeError) as refusal:
        PLAIN.infer((Shape(2, "N", 5),))
    assert (refusal.value.message, refusal.value.remedy) == (
        "Linear needs the batch on its first axis",
        'bring it there: {"type": "Index"} or "Permute"',
    )


def test_a_layer_that_works_on_each_number_needs_no_batch() -> None:
    assert ReLU(type="ReLU").infer((Shape(2, "N", 5),)) == Shape(2, "N", 5)


def test_a_layer_of_one_tensor_refuses_several() -> None:
    with pytest.raises(ShapeError) as refusal:
        PLAIN.infer(((Shape("N", 5), Shape("N", 6)),))
    assert (refusal.value.message, refusal.value.remedy) == (
        "Linear needs one tensor",
        'choose one: {"type": "Select", "index": 0} above it',
    )


@pytest.mark.parametrize(
    ("shape", "axis", "remedy"),
    [
        (Shape("N", "T", 5), 1, "give it rows of known sizes"),
        (Shape("N", 5), 0, "give it rows of known sizes"),
        (Shape("N", 5), 2, "keep one in the layer above"),
    ],
    ids=str,
)
def test_an_axis_without_a_number_is_refused_where_one_is_needed(shape: Shape, axis: int, remedy: str) -> None:
    with pytest.raises(ShapeError) as refusal:
        axis_size(PLAIN, shape, axis)
    assert (refusal.value.message, refusal.value.remedy) == (
        f"Linear needs axis {axis} to have a known size",
        remedy,
    )
