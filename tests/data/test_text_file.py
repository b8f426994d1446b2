"""TextFile: windows of tokens, what follows them, and the parts of the text."""

import io
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from sources import assert_loads_what_it_says, contradiction, declared, refusal
from zoo.data.data import OptionError
from zoo.shapes import Shape

TEXT = "the quick brown fox\njumps over the lazy dog — naïvely\r\n" * 4


@pytest.fixture
def text(here: Path) -> str:
    """A text of 220 characters in the current folder."""
    Path("text.txt").write_bytes(TEXT.encode())
    return "text.txt"


@pytest.mark.parametrize("tokens", ["character", "byte"])
@pytest.mark.parametrize("stride", [None, 1, 3, 20])
def test_the_rows_are_what_the_example_says(text: str, tokens: str, stride: int | None) -> None:
    made = declared("TextFile", file=text, tokens=tokens, context=8, stride=stride, validation=0.2, test=0.2)
    assert_loads_what_it_says(made)


def test_the_example_is_windows_up_to_the_context(text: str) -> None:
    example = declared("TextFile", file=text, tokens="character", context=8).example()
    assert example.input == example.target == Shape("N", "T", dtype="int64")
    assert example.input.longest == 8
    assert example.sizes == {"vocabulary": len(set(TEXT)), "context": 8}


def test_bytes_are_256_also_where_the_file_is_absent() -> None:
    example = declared("TextFile", file="absent.txt", tokens="byte", context=8).example()
    assert (example.vocabulary, example.training_rows) == (256, None)


def test_targets_are_the_inputs_one_token_later(text: str) -> None:
    rows = declared("TextFile", file=text, tokens="character", context=8).load("train")
    assert torch.equal(rows.inputs[:, 1:], rows.targets[:, :-1])
    assert torch.equal(rows.inputs[1:, 0], rows.targets[:-1, -1])


def test_a_text_to_predict_stands_on_standard_input(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = declared("TextFile", file=text, tokens="character", context=8)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("the — fox\r\n".encode()), newline=None))
    assert made.decode(made.read(["-"]).rows[0].tolist()) == " — fox\r\n"


@pytest.mark.parametrize("tokens", ["character", "byte"])
def test_a_text_file_that_is_not_there_is_not_read_as_a_text(text: str, tokens: str, here: Path) -> None:
    made = declared("TextFile", file=text, tokens=tokens, context=8)
    assert refusal(made.read, ["text.md"])[0] == "no such file: text.md"
    assert refusal(made.read, ["tex.txt"]) == ("no such file: tex.txt", 'did you mean "text.txt"?')
    assert refusal(made.read, [str(here)])[0] == f"{here} is a folder"


def test_what_ends_like_a_file_in_a_sentence_is_a_text(here: Path) -> None:
    made = declared("TextFile", file="absent.txt", tokens="byte", context=20)
    assert made.read(["read the notes.txt"]).rows.shape == (1, 18)
    assert made.read(["and/or"]).rows.shape == (1, 6)


@pytest.mark.parametrize("tokens", ["character", "byte"])
def test_the_windows_say_the_text(text: str, tokens: str) -> None:
    made = declared("TextFile", file=text, tokens=tokens, context=4)
    said = made.decode(made.load("train").inputs.flatten().tolist())
    assert TEXT.startswith(said.rstrip("\ufffd"))
    assert len(said) > 150


def test_the_parts_stand_in_order_and_do_not_overlap(text: str) -> None:
    made = declared("TextFile", file=text, tokens="character", context=1, validation=0.2, test=0.3)
    parts = [made.decode(made.load(split).inputs[:, 0].tolist()) for split in ("train", "validation", "test")]
    length = len(TEXT)
    bounds = [0, length - round(length * 0.3) - round(length * 0.2), length - round(length * 0.3), length]
    assert parts == [TEXT[start : end - 1] for start, end in pairwise(bounds)]


def test_encoding_and_decoding_give_the_text_back(text: str) -> None:
    made = declared("TextFile", file=text, tokens="character", context=8)
    assert made.decode(made.encode("naïve fox").tolist()) == "naïve fox"


def test_the_written_vocabulary_numbers_the_characters() -> None:
    made = declared("TextFile", file="absent.txt", tokens="character", context=2, vocabulary="cab")
    assert made.encode("abc").tolist() == [1, 2, 0]
    assert (made.example().vocabulary, made.example().training_rows) == (3, None)


def test_a_character_outside_the_vocabulary_is_refused_with_its_line(here: Path) -> None:
    Path("text.txt").write_text("aaa\nabx\naaaaaaa")
    made = declared("TextFile", file="text.txt", tokens="character", context=2, vocabulary="ab\n")
    assert refusal(made.load, "train") == (
        "text.txt: line 2 has 'x', which is not in the vocabulary",
        "write it into data.vocabulary, or remove it from the text",
    )


def test_an_absent_text_is_one_problem() -> None:
    made = declared("TextFile", file="absent.txt", tokens="character", context=2)
    assert refusal(made.example) == (
        "no such file: absent.txt, so the vocabulary is not known",
        "set data.file to a text, or write vocabulary",
    )
    assert refusal(made.load, "train")[0] == "no such file: absent.txt"


def test_a_large_text_wants_its_vocabulary_written(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.data.text_file.SCANNED", 100)
    message, remedy = refusal(declared("TextFile", file=text, tokens="character", context=8).example)
    assert message.endswith("bytes, too many to look for its characters in a check")
    assert remedy == "write vocabulary, a string of all its characters; or tokens: byte"
    assert declared("TextFile", file=text, tokens="byte", context=8).example().training_rows is not None


def test_a_text_that_is_not_utf8_is_refused(here: Path) -> None:
    Path("text.txt").write_bytes(b"\xff\xfe" * 50)
    message, remedy = refusal(declared("TextFile", file="text.txt", tokens="character", context=2).example)
    assert message.startswith("cannot read text.txt: 'utf-8' codec")
    assert remedy == "write the file in UTF-8, or use byte tokens"
    assert len(declared("TextFile", file="text.txt", tokens="byte", context=2).load("train")) > 0


def test_a_text_shorter_than_a_window_is_refused(text: str) -> None:
    made = declared("TextFile", file=text, tokens="character", context=300)
    with pytest.raises(OptionError) as refused:
        made.example()
    assert refused.value.option == "context"
    assert refused.value.message == "the train part of text.txt has 198 tokens, but a window needs 301"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokens": "byte", "vocabulary": "ab"}, "vocabulary says nothing with byte tokens; remove it"),
        ({"vocabulary": "aba"}, "a character stands twice in vocabulary; remove one"),
        (
            {"validation": 0.5, "test": 0.5},
            "validation and test leave nothing to train on; write smaller parts",
        ),
    ],
)
def test_a_contradiction_is_refused(options: dict[str, object], message: str) -> None:
    assert contradiction("TextFile", **{"file": "x", "tokens": "character", "context": 2, **options}) == message


def test_a_text_to_predict_is_its_last_tokens(text: str) -> None:
    made = declared("TextFile", file=text, tokens="character", context=4)
    assert made.decode(made.read(["the lazy dog"]).rows[0].tolist()) == " dog"


def test_texts_of_different_lengths_are_refused(text: str) -> None:
    made = declared("TextFile", file=text, tokens="character", context=9)
    assert tuple(made.read(["fox", "the"]).rows.shape) == (2, 3)
    assert refusal(made.read, ["fox", "jumps"])[1] == "give texts of one length, or one after the other"


@pytest.mark.parametrize("texts", [[""], ["fox", ""], ["", "fox"]], ids=str)
def test_an_empty_text_is_refused(texts: list[str], text: str) -> None:
    made = declared("TextFile", file=text, tokens="character", context=9)
    assert refusal(made.read, texts) == ("the text '' is empty", "give a text of one token at least")


def test_the_windows_take_no_memory_of_their_own(text: str) -> None:
    rows = declared("TextFile", file=text, tokens="character", context=8, stride=1).load("train")
    assert rows.inputs.untyped_storage().nbytes() <= 8 * len(TEXT)


def test_shakespeare_has_65_characters(real_data: Path) -> None:
    file = str(real_data / "tinyshakespeare" / "input.txt")
    example = declared("TextFile", file=file, tokens="character", context=128).example()
    assert (example.vocabulary, example.training_rows) == (65, (1_003_855 - 1) // 128)


def test_resolved_it_needs_no_file_to_encode(text: str) -> None:
    made = declared("TextFile", file=text, tokens="character", context=8)
    resolved = made.resolved()
    wanted = made.encode("fox").tolist()
    Path(text).unlink()
    again = declared("TextFile", **{k: v for k, v in resolved.document().items() if k != "type"})
    assert again.encode("fox").tolist() == wanted
