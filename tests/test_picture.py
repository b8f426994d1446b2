"""Pictures: the graph of a model as SVG, readable at any size, and true."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from conftest import Document, Outcome, linear
from zoo.check import check_file
from zoo.outline import MOST_BOXES, Item, Outline, outline
from zoo.picture import picture

Write = Callable[..., str]
Zoo = Callable[..., Outcome]

WIDE: Document = {"type": "Linear", "out_features": 8}
LAST: Document = {"type": "Linear", "out_features": 1}
RESIDUAL: Document = {"type": "Residual", "layers": [{"type": "LayerNorm"}, WIDE, {"type": "ReLU"}]}


@pytest.fixture
def drawn(here: Path, write: Write) -> Callable[..., Outline]:
    """Return the outline of layers."""
    return lambda *layers: outline(check_file(write(linear(model__layers=list(layers)))))


def titles(items: tuple[Item, ...]) -> list[tuple[str, int]]:
    return [(item.title, item.times) for item in items]


def test_each_layer_is_a_box_in_order(drawn: Callable[..., Outline]) -> None:
    found = drawn(WIDE, {"type": "ReLU"}, LAST)
    assert titles(found.items) == [("Linear", 1), ("ReLU", 1), ("Linear", 1)]
    assert [item.shape for item in found.items] == ["(N, 8)", "(N, 8)", "(N, 1)"]


def test_a_repeat_is_drawn_once(drawn: Callable[..., Outline]) -> None:
    found = drawn(WIDE, {"type": "Repeat", "times": 5, "layers": [RESIDUAL]}, LAST)
    assert titles(found.items) == [("Linear", 1), ("Residual", 5), ("Linear", 1)]
    assert len(found.items[1].steps) == 20


def test_equal_neighbours_are_drawn_once_unless_one_is_named(drawn: Callable[..., Outline]) -> None:
    assert titles(drawn(WIDE, RESIDUAL, RESIDUAL, RESIDUAL, LAST).items)[1:-1] == [("Residual", 3)]
    named = {**RESIDUAL, "id": "middle"}
    found = drawn(WIDE, RESIDUAL, named, RESIDUAL, {"type": "Add", "from": ["middle"]}, LAST)
    assert titles(found.items)[1:-2] == [("Residual", 1), ("Residual", 1), ("Residual", 1)]


def test_neighbours_that_give_other_shapes_are_not_equal(drawn: Callable[..., Outline]) -> None:
    assert titles(drawn(WIDE, {"type": "Linear", "out_features": 4}, LAST).items) == [("Linear", 1)] * 3


def test_a_residual_without_shortcut_has_a_skip(drawn: Callable[..., Outline]) -> None:
    residual = drawn(WIDE, RESIDUAL, LAST).items[1]
    assert residual.join == "+"
    assert [len(column) for column in residual.columns] == [3, 0]


def test_an_id_makes_a_link(drawn: Callable[..., Outline]) -> None:
    found = drawn({**WIDE, "id": "stem"}, {"type": "ReLU"}, {"type": "Add", "from": ["stem"]}, LAST)
    assert found.links == ((0, 2),)


def test_a_large_model_fits_a_page(drawn: Callable[..., Outline]) -> None:
    widths = range(8, 88)
    blocks = [{"type": "Residual", "layers": [WIDE, {"type": "Linear", "out_features": 8}]} for _ in widths]
    different = [
        {"type": "Parallel", "branches": [[{"type": "Linear", "out_features": width}], [WIDE]]}
        for width in range(8, 38)
    ]
    found = drawn(WIDE, *blocks, *different, LAST)
    assert sum(item.boxes for item in found.items) <= MOST_BOXES
    assert any(re.fullmatch(r"3 steps · [\d,]+ parameters", item.options) for item in found.items)


def test_a_template_is_opened_where_it_stands_first(here: Path, write: Write) -> None:
    layers = [{"type": "Linear", "out_features": "$w"}, *[{"type": "ReLU"}, {"type": "Tanh"}] * 10]
    stages = [{"type": "Block", "name": "stage", "w": width} for width in (8, 9, 10, 11)]
    found = outline(
        check_file(write(linear(model__layers=[*stages, LAST]) | {"blocks": {"stage": {"layers": layers}}}))
    )
    assert [bool(item.columns) for item in found.items] == [True, False, False, False, False]
    assert found.items[3].options == "21 steps · 121 parameters"


def svg(found: Outline, caption: str = "a model") -> ElementTree.Element:
    return ElementTree.fromstring(picture(found, caption))


def test_the_picture_is_xml_whatever_the_words(drawn: Callable[..., Outline]) -> None:
    words = '<script>alert("1")</script> & ]]> \'"'
    item = Item(words, "linear", words, options=words, name=words)
    root = svg(Outline(words, (item,), ()), words)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert not [element for element in root.iter() if "script" in element.tag]
    assert "".join(root.itertext()).count("<script>") >= 3


def test_every_box_lies_on_the_page(drawn: Callable[..., Outline]) -> None:
    parallel = {"type": "Parallel", "branches": [[WIDE], [WIDE, {"type": "Tanh"}], []]}
    found = drawn({**WIDE, "id": "stem"}, parallel, WIDE, RESIDUAL, {"type": "Add", "from": ["stem"]}, LAST)
    root = svg(found)
    wide, high = (float(size) for size in root.attrib["viewBox"].split()[2:])
    boxes = [element.attrib for element in root.iter("{http://www.w3.org/2000/svg}rect") if "x" in element.attrib]
    assert len(boxes) == 13
    for box in boxes:
        assert float(box["x"]) >= 0
        assert float(box["x"]) + float(box["width"]) <= wide - 40
        assert float(box["y"]) + float(box["height"]) <= high - 40


def test_boxes_of_a_chain_do_not_overlap(drawn: Callable[..., Outline]) -> None:
    root = svg(drawn(*[WIDE, {"type": "ReLU"}] * 4, LAST))
    boxes = [element.attrib for element in root.iter("{http://www.w3.org/2000/svg}rect") if "x" in element.attrib]
    spans = [(float(box["y"]), float(box["y"]) + float(box["height"])) for box in boxes]
    assert all(end < start for (_, end), (start, _) in pairwise(spans))


def test_the_command_writes_the_file(zoo: Zoo, here: Path) -> None:
    done = zoo("show", "mnist_mlp", "--graph", "out.svg")
    assert (done.status, done.out, done.err) == (0, "", "written: out.svg\n")
    assert "(N, 784)" in "".join(ElementTree.parse("out.svg").getroot().itertext())


@pytest.mark.parametrize("arguments", [("--graph", "out.png"), ("--graph", "out.svg", "--json")])
def test_another_form_is_refused(zoo: Zoo, here: Path, arguments: tuple[str, ...]) -> None:
    done = zoo("show", "linear3", *arguments)
    assert done.status == 2
    assert done.err.startswith("error: ")
    assert not list(here.iterdir())
