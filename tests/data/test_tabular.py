"""Rows that a person types: on the command line, in a CSV file, on standard input."""

import io
import sys
from pathlib import Path

import pytest

from zoo.data.tabular import read_rows
from zoo.errors import DataError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path in the current folder, so that messages hold its bare name."""
    monkeypatch.chdir(tmp_path)
    return Path("rows.csv")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("1,2", [1, 2]), (" 1 , -2.5 ", [1, -2.5]), ("1e3,+.5", [1000, 0.5]), ("0,-0", [0, 0])],
)
def test_a_typed_row_is_its_numbers(text: str, numbers: list[float]) -> None:
    assert read_rows([text], 2) == [(text, numbers)]


def test_a_typed_row_of_many_numbers_is_read() -> None:
    text = ",".join(["1.5"] * 400)
    assert read_rows([text], 400) == [(text, [1.5] * 400)]


def test_the_rows_stand_in_the_order_they_were_given(file: Path) -> None:
    file.write_text("3\n4\n", encoding="utf-8")
    assert [numbers for _, numbers in read_rows(["5", str(file), "1"], 1)] == [[5], [3], [4], [1]]


@pytest.mark.parametrize(
    "content",
    [
        "1,2\n3,4\n",
        "1,2\r\n3,4\r\n",
        "1,2\n3,4",
        "x,y\n1,2\n3,4\n",
        "\ufeffx,y\n1,2\n3,4\n",
        "\ufeff1,2\n3,4\n",
        '"1","2"\n3,4\n',
        "1,2\n\n3,4\n\n",
        "1, 2\n3, 4\n",
    ],
)
def test_a_csv_file_is_its_numbers(file: Path, content: str) -> None:
    file.write_bytes(content.encode())
    assert [numbers for _, numbers in read_rows([str(file)], 2)] == [[1, 2], [3, 4]]


def test_a_row_of_a_file_is_named_by_its_cells(file: Path) -> None:
    file.write_text('x,y\n1,"2.50"\n', encoding="utf-8")
    assert [name for name, _ in read_rows([str(file)], 2)] == ["1,2.50"]


@pytest.mark.parametrize("content", ["", "\n\n", "x,y\n"])
def test_a_file_without_rows_gives_none(file: Path, content: str) -> None:
    file.write_text(content, encoding="utf-8")
    assert read_rows([str(file)], 2) == []


def test_a_dash_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("x,y\n1,2\n"))
    assert read_rows(["-"], 2) == [("1,2", [1, 2])]


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("1,2,3", "row '1,2,3': 3 numbers, but the model takes 2", "write 2 numbers"),
        ("1", "row '1': 1 numbers, but the model takes 2", "write 2 numbers"),
        *(
            (
                text,
                f"row {text!r}: {cell!r} is not a finite number, and no such file is here",
                "write 2 numbers with commas between, or the path of a CSV file",
            )
            for text, cell in [
                ("1,x", "x"),
                ("1,nan", "nan"),
                ("-inf,1", "-inf"),
                ("1,1e999", "1e999"),
                ("1,", ""),
                ("", ""),
                ("1;2", "1;2"),
                ("a\0b", "a\0b"),
            ]
        ),
    ],
)
def test_a_typed_row_that_does_not_fit_is_refused(file: Path, text: str, message: str, remedy: str) -> None:
    with pytest.raises(DataError) as refusal:
        read_rows([text], 2)
    assert (refusal.value.message, refusal.value.remedy) == (message, remedy)


@pytest.mark.parametrize("cell", ["1e39", "-3.5e38"])
def test_a_number_that_float32_cannot_hold_is_called_so(cell: str) -> None:
    with pytest.raises(DataError) as refusal:
        read_rows([f"1,{cell}"], 2)
    assert refusal.value.message == f"row '1,{cell}': {cell!r} is not finite in float32"


def test_what_is_the_path_of_no_file_is_not_read_as_a_row(file: Path) -> None:
    file.write_text("1,2\n", encoding="utf-8")
    for text, message, remedy in (
        ("absent.csv", "no such file: absent.csv", "write 2 numbers with commas between, or the path of a CSV file"),
        ("row.csv", "no such file: row.csv", 'did you mean "rows.csv"?'),
        (".", ". is a folder", "write 2 numbers with commas between, or the path of a CSV file"),
        (
            "/dev/null",
            "/dev/null is no regular file",
            "write -, and give it on standard input: zoo predict RUN - < it",
        ),
    ):
        with pytest.raises(DataError) as refusal:
            read_rows([text], 2)
        assert (refusal.value.message, refusal.value.remedy) == (message, remedy)


def test_a_row_of_a_file_of_another_width_is_refused_at_its_line(file: Path) -> None:
    file.write_text("1,2\n\n3,4,5\n", encoding="utf-8")
    with pytest.raises(DataError) as refusal:
        read_rows([str(file)], 2)
    assert (refusal.value.message, refusal.value.remedy) == (
        "rows.csv:3: 3 numbers, but the model takes 2",
        "write 2 numbers",
    )


@pytest.mark.parametrize("cell", ["x", "nan", "inf", "", "1e999"])
def test_a_cell_that_is_no_number_is_refused_at_its_line(file: Path, cell: str) -> None:
    file.write_text(f"1,2\n3,{cell}\n", encoding="utf-8")
    with pytest.raises(DataError) as refusal:
        read_rows([str(file)], 2)
    assert refusal.value.message.startswith(f"rows.csv:2: {cell!r} is not a finite number")


def test_a_faulty_line_of_a_file_is_not_mistaken_for_an_absent_file(file: Path) -> None:
    file.write_text("1,2\n3,x\n", encoding="utf-8")
    with pytest.raises(DataError) as refusal:
        read_rows([str(file)], 2)
    assert "no such file" not in refusal.value.message


@pytest.mark.parametrize("line", ["nan,inf", "nan,nan", "1e999,-inf"])
def test_a_first_line_without_finite_numbers_is_no_line_of_names(file: Path, line: str) -> None:
    file.write_text(f"{line}\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError):
        read_rows([str(file)], 2)


def test_a_second_line_of_names_is_refused(file: Path) -> None:
    file.write_text("x,y\nx,y\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"rows\.csv:2: 'x' is not a finite number"):
        read_rows([str(file)], 2)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"1,\xff\n", "'utf-8' codec can't decode byte 0xff in position 2: invalid start byte"),
        (b"1," + b"9" * 140_000, "field larger than field limit (131072)"),
    ],
    ids=["latin-1", "endless"],
)
def test_a_file_that_is_no_csv_is_refused(file: Path, content: bytes, why: str) -> None:
    file.write_bytes(content)
    with pytest.raises(DataError) as refusal:
        read_rows([str(file)], 2)
    assert (refusal.value.message, refusal.value.remedy) == (
        f"cannot read rows.csv: {why}",
        "give a CSV file of numbers",
    )


@pytest.mark.parametrize("content", [b"1,\xff\n", b"1," + b"9" * 140_000], ids=["latin-1", "endless"])
def test_standard_input_that_is_no_csv_is_refused(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
    with pytest.raises(DataError):
        read_rows(["-"], 2)
