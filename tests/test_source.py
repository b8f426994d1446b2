"""Source: reading a spec's text, its faults before any meaning, and `--set`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import linear
from zoo.errors import SpecError, UsageError
from zoo.source import MAX_BYTES, find_spec, override, read_source

Write = Callable[..., str]

NOT_JSON = {
    "{'name': 1}": (1, 2, "not JSON: Expecting property name enclosed in double quotes"),
    '{\n  "name": "a"\n  "x": 1}': (3, 3, "not JSON: Expecting ',' delimiter"),
    '{"name": }': (1, 10, "not JSON: Expecting value"),
    "": (1, 1, "not JSON: Expecting value"),
    '{"a": 1} // note': (1, 10, "not JSON: Extra data"),
}


@pytest.mark.parametrize("text", NOT_JSON, ids=repr)
def test_what_is_not_json_is_refused_with_line_and_column(write: Write, text: str) -> None:
    with pytest.raises(SpecError) as refused:
        read_source(write(text))
    (problem,) = refused.value.problems
    assert (problem.place.line, problem.place.column, problem.message) == NOT_JSON[text]


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ('{"name": "a",}', "remove the comma before }"),
        ("{'name': 1}", 'write double quotes: "…"'),
        ('{"a": 1\n "b": 2}', "put a comma before this"),
        ('{"a": 1} // note', 'JSON has no comments; put prose into "summary"'),
        ('{"a": ', "the text ends too early, or a value is missing here"),
    ],
)
def test_the_remedy_fits_the_fault(write: Write, text: str, remedy: str) -> None:
    with pytest.raises(SpecError) as refused:
        read_source(write(text))
    assert refused.value.problems[0].remedy == remedy


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ('{"a": 1,\n "b": NaN}', "not a spec: NaN is not a number of JSON", 2),
        ('{"a": -Infinity}', "not a spec: -Infinity is not a number of JSON", 1),
        ('{"a": 1e999}', "not a spec: 1e999 is too large for a number", 1),
        ('{"a":\n' + "1" * 5000 + "}", f"not a spec: {'1' * 40}… is too large for a number", 2),
        ('{"a":\n"1e999", "b":\n1e999}', "not a spec: 1e999 is too large for a number", 3),
        ('{"a":\n' + "[" * 100 + "]" * 100 + "}", "not a spec: more than 100 levels", 2),
        ('{"a":\n' + "[" * 300 + "]" * 300 + "}", "not a spec: more than 100 levels", 2),
        ('{"a":\n' + "[" * 100_000 + "]" * 100_000 + "}", "not a spec: more than 100 levels", 2),
        ("[" * 100_000, "not a spec: more than 100 levels", 1),
        ("[1, 2]", "a spec is a JSON object", 1),
        ('"text"', "a spec is a JSON object", 1),
        ('{"a": 1, "a": 2}', '"a" stands twice', 1),
        ('{"a": "\\ud800"}', "a string holds half of a surrogate pair", 1),
    ],
    ids=lambda value: str(value)[:20],
)
def test_json_that_can_be_no_spec_is_refused(write: Write, text: str, message: str, line: int) -> None:
    with pytest.raises(SpecError) as refused:
        read_source(write(text))
    (problem,) = refused.value.problems
    assert (problem.message, problem.place.line) == (message, line)


def test_a_byte_order_mark_is_no_fault(here: Path) -> None:
    (here / "spec.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(linear()).encode())
    assert read_source("spec.json").value["name"] == "line"


def test_a_file_that_is_not_utf8_is_refused(here: Path) -> None:
    (here / "spec.json").write_bytes(b'{"name": "\xff"}')
    with pytest.raises(UsageError, match=r"spec.json is not UTF-8: byte 10 is invalid"):
        read_source("spec.json")


def test_a_file_that_is_too_large_is_refused(here: Path) -> None:
    (here / "spec.json").write_bytes(b" " * (MAX_BYTES + 1))
    with pytest.raises(UsageError, match=r"larger than 1,048,576 bytes"):
        read_source("spec.json")


@pytest.mark.parametrize(
    ("reference", "remedy"),
    [
        ("linear4", 'did you mean "linear3"?'),
        ("mine.jsn", 'did you mean "mine.json"?'),
        ("Linear3", 'did you mean "linear3"?'),
        ("lineer3.json", 'did you mean "linear3"?'),
        ("specs/linaer3.json", 'did you mean "linear3"?'),
    ],
)
def test_an_absent_spec_is_answered_with_the_nearest_name(write: Write, reference: str, remedy: str) -> None:
    write(linear(), "mine.json")
    with pytest.raises(UsageError, match=f"no such spec: {reference}") as refused:
        find_spec(reference)
    assert refused.value.remedy == remedy


def test_an_empty_name_is_called_so() -> None:
    with pytest.raises(UsageError, match="the name of the spec is empty"):
        find_spec("")


def test_a_name_that_is_like_none_only_gets_the_list(write: Write) -> None:
    write(linear(), "mine.json")
    for reference in ("nothere.json", "x.json", "nothere", ".json"):
        with pytest.raises(UsageError) as refused:
            find_spec(reference)
        assert refused.value.remedy.startswith("write one of: ")
        assert "mine.json" in refused.value.remedy


def test_a_directory_is_no_spec(here: Path) -> None:
    with pytest.raises(UsageError, match=r"\. is a directory, not a spec"):
        find_spec(".")


def test_a_name_of_the_zoo_is_found_from_anywhere(here: Path) -> None:
    assert find_spec("linear3").name == "linear3.json"


def test_a_path_goes_before_a_name_of_the_zoo(write: Write) -> None:
    write(linear(), "linear3")
    assert read_source("linear3").value["name"] == "line"


@pytest.mark.parametrize(
    ("text", "where", "value"),
    [
        ("train.epochs=7", ("train", "epochs"), 7),
        ("data.root=../here", ("data", "root"), "../here"),
        ("model.layers.0.bias=false", ("model", "layers", 0, "bias"), False),
        ("data.weights=[1, 2]", ("data", "weights"), [1, 2]),
        ("scheduler.type=StepLR", ("scheduler", "type"), "StepLR"),
        ('summary="5"', ("summary",), "5"),
        ("summary=a=b", ("summary",), "a=b"),
        ("summary=", ("summary",), ""),
        ("summary=NaN and more", ("summary",), "NaN and more"),
        ("summary=1e999 x", ("summary",), "1e999 x"),
        ('summary="NaN"', ("summary",), "NaN"),
        ("data.root={", ("data", "root"), "{"),
    ],
)
def test_set_puts_a_value_where_it_says(write: Write, text: str, where: tuple[str | int, ...], value: object) -> None:
    changed = read_source(write(linear()), [text])
    found: object = changed.value
    for key in where:
        found = found[key]  # type: ignore[index]  # JSON containers
    assert found == value
    assert str(changed.place(where)) == f"--set {text}"


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("epochs", "it is not PATH=VALUE", "write for example --set train.epochs=3"),
        ("=3", "it is not PATH=VALUE", "write for example --set train.epochs=3"),
        ("train..epochs=3", "it is not PATH=VALUE", "write for example --set train.epochs=3"),
        ("a." * 1500 + "b=1", "more than 50 levels", "a spec is not that deep"),
        ("summary=" + "[" * 101 + "]" * 101, "more than 100 levels", None),
        ("summary=" + "[" * 100_000 + "]" * 100_000, "more than 100 levels", None),
        ('summary="\\ud800"', "it is not Unicode", "write whole characters in UTF-8"),
        ("summary=\udcff", "it is not Unicode", "write whole characters in UTF-8"),
        ("summary.\udcff=1", "it is not Unicode", None),
        ("model.layers.1.bias=false", "model.layers is a list and has no '1'", "write 0"),
        ("model.layers.x=1", "model.layers is a list and has no 'x'", "write 0"),
        ("data.weights.²=1", "data.weights is a list and has no '²'", "write a position from 0 to 1"),
        ("metrics.0=1", "metrics is a list and has no '0'", "the list is empty; set it as a whole"),
        (
            "train.epochs.more=1",
            "nothing below train.epochs",
            "train.epochs is a value without parts; set it as a whole",
        ),
        (
            "train.epochs=NaN",
            "NaN is not a number of JSON",
            'write a finite number, or a string in quotes: "NaN"',
        ),
        ("data.weights=[1, -Infinity]", "-Infinity is not a number of JSON", None),
        ("optimizer.lr=1e999", "1e999 is too large for a number", None),
        ("train.epochs=" + "1" * 5000, f"{'1' * 40}… is too large for a number", None),
        ('data={"low": 1, "low": 2}', '"low" stands twice', "keep one of them"),
    ],
    ids=lambda value: str(value)[:30].encode("ascii", "replace").decode(),
)
def test_a_set_that_leads_nowhere_is_refused(write: Write, text: str, message: str, remedy: str | None) -> None:
    name = write(linear(metrics=[]))
    with pytest.raises(SpecError) as refused:
        read_source(name, [text])
    (problem,) = refused.value.problems
    assert problem.message == message
    assert remedy in (None, problem.remedy)
    assert str(problem).isprintable() or "\n" in str(problem)
    assert max(map(len, str(problem).splitlines())) < 160


def test_every_set_that_is_wrong_is_told(write: Write) -> None:
    wrong = ["epochs", "train.epochs=3", "model.layers.7.bias=true", "optimizer.lr=NaN"]
    with pytest.raises(SpecError) as refused:
        read_source(write(linear()), wrong)
    places = [str(problem.place) for problem in refused.value.problems]
    assert places == [f"--set {text}" for text in (wrong[0], *wrong[2:])]


def test_a_set_is_repeated_on_one_short_line(write: Write) -> None:
    changed = read_source(write(linear()), ["summary=a\nb" + "x" * 1000])
    assert str(changed.place(("summary",))) == r"--set summary=a\nb" + "x" * 48 + "…"


def test_an_object_that_a_set_made_is_placed_at_it(write: Write) -> None:
    changed = read_source(write(linear()), ["trian.epochs=3"])
    assert str(changed.place(("trian",))) == "--set trian.epochs=3"
    assert changed.place(("train",)).line > 0


def test_what_a_set_replaced_is_placed_at_it(write: Write) -> None:
    changed = read_source(write(linear()), ['train={"batch_size": 4}'])
    for path in (("train",), ("train", "epochs"), ("train", "batch_size")):
        assert str(changed.place(path)) == '--set train={"batch_size": 4}'


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (("train.epochs=3", "train.epochs=4"), "--set train.epochs=3 says this option too"),
        (("train.epochs=3", 'train={"batch_size": 4}'), "--set train.epochs=3 before it would be replaced"),
    ],
)
def test_a_set_never_drops_another(sets: tuple[str, str], message: str, write: Write) -> None:
    with pytest.raises(SpecError) as refused:
        read_source(write(linear()), sets)
    assert [problem.message for problem in refused.value.problems] == [message]
    assert read_source(write(linear()), ['train={"batch_size": 4}', "train.epochs=9"]).value["train"]["epochs"] == 9


def test_an_override_leaves_the_source_as_it_was(write: Write) -> None:
    source = read_source(write(linear()))
    override(source, ["train.epochs=9"])
    assert source.value["train"]["epochs"] == 2


def test_a_value_that_is_not_written_is_placed_at_its_owner(write: Write) -> None:
    source = read_source(write(linear()))
    assert source.place(("train", "seed")) == source.place(("train",))


def test_what_is_there_and_is_no_file_is_not_told_to_be_absent(here: Path) -> None:
    os.mkfifo("pipe.json")
    Path("link.json").symlink_to("nowhere")
    Path("loop.json").symlink_to("loop.json")
    for reference, what in (
        ("pipe.json", "is no regular file"),
        ("/dev/null", "is no regular file"),
        ("link.json", "is a link to nothing"),
        ("loop.json", "is a link to nothing"),
    ):
        with pytest.raises(UsageError) as refused:
            find_spec(reference)
        assert refused.value.message == f"{reference} {what}"
