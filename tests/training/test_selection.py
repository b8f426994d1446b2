"""Selection: another way to compute an operator is taken only if it has the same bits and is faster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

import pytest
import torch
from test_exact import trained
from test_strides import _soon, bits, plainly, spec_of
from torch import Tensor, nn

from zoo.training import selection, strides, ways
from zoo.training.recording import Recorder
from zoo.training.selection import itself, selected
from zoo.training.ways import ATEN, Call, Lines

soon = _soon  # a fixture: steps are recorded at once

RIGHT = "torch.ops.aten.add(torch.ops.aten.mm({}, {}), 0.0)"
WRONG = "torch.ops.aten.mul(torch.ops.aten.mm({}, {}), 1.0000001)"
REFUSED = "torch.ops.aten.mm({}, {}, 7)"


def call_of(function: Callable[[Tensor], object], taken: Tensor) -> tuple[Recorder, Call]:
    """Record one call; the recorder holds on to its tensors."""
    recorder = Recorder(x=taken)
    with recorder:
        function(taken)
    (call,) = recorder.calls.values()
    return recorder, call


def giving(text: str) -> Callable[[Call], Iterator[Lines]]:
    """Return what knows one way to multiply matrices."""
    return lambda call: iter([(f"{call.own[0]} = {text.format(*call.given)}",)])


def product() -> tuple[Recorder, Call]:
    generator = torch.Generator().manual_seed(0)
    return call_of(torch.randn(9, 9, generator=generator).mm, torch.randn(9, 9, generator=generator))


@pytest.fixture
def each_way_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a clock that is read more often say less, so that the last way is the fastest."""
    ticks = count(1000, -1)
    sound = selection._seconds

    def seconds(function: Callable[..., list[Tensor]], given: list[Tensor]) -> float:
        sound(function, given)
        return 0.5 ** (1000 - next(ticks))

    monkeypatch.setattr(selection, "_seconds", seconds)


@pytest.mark.usefixtures("each_way_faster")
@pytest.mark.parametrize(("text", "taken"), [(RIGHT, True), (WRONG, False), (REFUSED, False)], ids=str)
def test_a_faster_way_is_taken_if_it_has_the_same_bits(text: str, taken: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ways.WAYS, ATEN.mm.default, giving(text))
    _kept, call = product()
    assert (selected({0: call})[0] != itself(call)) == taken


def test_a_slower_way_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ways.WAYS, ATEN.mm.default, giving(RIGHT))
    monkeypatch.setattr(selection, "_seconds", lambda function, given: 1.0)
    _kept, call = product()
    assert selected({0: call})[0] == itself(call)


def test_a_call_that_fails_by_itself_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ways.WAYS, ATEN.mm.default, giving(RIGHT))
    _kept, call = product()
    failing = replace(call, text="torch.ops.aten.mm(x, x, x)")
    assert selected({0: failing}) == {0: itself(failing)}


@pytest.mark.parametrize("channels", [3, 16])
def test_each_way_to_pool_has_the_bits_and_the_layout_of_pooling(channels: int) -> None:
    module = nn.MaxPool2d(3, 2, padding=1)
    _kept, call = call_of(module, torch.randn(2, channels, 9, 7, generator=torch.Generator().manual_seed(0)).relu())
    known = list(ways.ways_of(call))
    assert len(known) == 2
    one = selection.compiled(["x"], itself(call), call.own)
    assert all(selection._agree(one, selection.compiled(["x"], lines, call.own), call.args[:1]) for lines in known)


@pytest.mark.parametrize(
    ("products", "blocks"),
    [(64, [64]), (192, [192]), (200, [100, 100]), (260, [132, 128]), (400, [192, 192, 16])],
)
def test_products_are_added_in_blocks(products: int, blocks: list[int]) -> None:
    assert ways._blocks(products) == blocks


def test_numbers_that_tell_are_of_all_sizes_and_signs_and_laid_out_alike() -> None:
    told = selection.telling(torch.zeros(40, 30).t(), 0)
    assert told.stride() == (1, 30)
    sizes = told.abs()[told != 0]
    assert sizes.min() < 2.0**-60
    assert sizes.max() > 2.0**20
    assert torch.signbit(told[told == 0]).any()


@pytest.fixture
def any_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take each way that has the same bits, and ask of products of any size."""
    monkeypatch.setattr(strides, "SEEKS", 0)
    monkeypatch.setattr(selection, "WORTH", float("inf"))
    monkeypatch.setattr(selection, "HOPELESS", float("inf"))
    monkeypatch.setattr(ways, "LEAST_PRODUCTS", 1)


@pytest.mark.usefixtures("soon", "any_way", "each_way_faster")
def test_a_training_by_other_ways_has_the_bits_of_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Lines] = []

    def seen(calls: dict[int, Call]) -> dict[int, Lines]:
        chosen = selected(calls)
        taken.extend(lines for line, lines in chosen.items() if lines != itself(calls[line]))
        return chosen

    monkeypatch.setattr("zoo.training.strides.selected", seen)
    spec = spec_of(train={"epochs": 1})
    state, training = trained(spec)
    assert training.strides.replays
    assert any("max_pool2d" in line for lines in taken for line in lines)
    assert bits(state) == plainly(spec, monkeypatch)


@pytest.mark.usefixtures("soon", "any_way", "each_way_faster")
def test_a_way_that_deceives_the_selection_is_found_in_the_first_steps(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(ways.WAYS, ATEN.mm.default, giving(WRONG))
    monkeypatch.setattr(selection, "_agree", lambda one, other, given: True)
    spec = spec_of(train={"epochs": 1})
    state, training = trained(spec)
    assert training.strides.plain
    assert caplog.messages == [
        "steps are not replayed, and take longer: replayed steps differ from plain ones in their bits"
    ]
    assert bits(state) == plainly(spec, monkeypatch)
