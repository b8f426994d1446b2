"""TableFile: columns of numbers and of words, targets, standardisation, and what a check can know of them."""

import io
import itertools
import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sources import assert_loads_what_it_says, contradiction, declared, refusal
from zoo.choice import frozen
from zoo.data.data import OptionError
from zoo.data.table import is_number
from zoo.data.table_file import TableFile
from zoo.errors import DataError
from zoo.shapes import Shape

HEADER = "length,colour,width,kind"
COLOURS = ("red", "blue", "green")


def write(name: str, lines: list[str]) -> str:
    Path(name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return name


def copied(name: str) -> str:
    """The same rows in a file of their own."""
    return shutil.copy(name, "copy.csv")


@pytest.fixture
def table(here: Path) -> str:
    """Thirty rows: two columns of numbers, one of three colours, and two kinds."""
    rows = [f"{i}.5,{COLOURS[i % 3]},{2 * i},{'cat' if i % 2 else 'dog'}" for i in range(30)]
    return write("table.csv", [HEADER, *rows])


def test_the_rows_are_what_the_example_says(table: str) -> None:
    for target in ("kind", "length"):
        assert_loads_what_it_says(declared("TableFile", file=table, target=target, validation=0.2, test=0.3))


def test_words_are_classes_and_numbers_are_numbers(table: str) -> None:
    classes = declared("TableFile", file=table, target="kind").example()
    numbers = declared("TableFile", file=table, target="width").example()
    assert (classes.input, classes.target, classes.classes) == (
        Shape("N", 5),
        Shape("N", dtype="int64"),
        ("cat", "dog"),
    )
    assert (numbers.input, numbers.target, numbers.classes) == (Shape("N", 6), Shape("N", 1), ())


def test_a_row_is_its_numbers_and_a_one_for_its_word(table: str) -> None:
    source = declared("TableFile", file=table, test_file=copied(table), target="kind")
    rows = source.load("test")
    assert rows.inputs[4].tolist() == [4.5, 1, 0, 0, 8]  # blue, of blue, green, red
    assert rows.targets[:3].tolist() == [1, 0, 1]


def test_the_columns_stand_in_the_order_that_is_written(table: str) -> None:
    source = declared("TableFile", file=table, test_file=copied(table), target="kind", columns=["width", "length"])
    assert source.load("test").inputs[4].tolist() == [8, 4.5]


def test_the_splits_share_no_row_and_lose_none(table: str) -> None:
    source = declared("TableFile", file=table, target="kind", validation=0.25, test=0.2, seed=4)
    lengths = [source.load(split).inputs[:, 0].tolist() for split in source.splits]
    assert [len(part) for part in lengths] == [18, 6, 6]
    assert sorted(itertools.chain.from_iterable(lengths)) == [i + 0.5 for i in range(30)]


def test_own_files_are_the_splits(table: str) -> None:
    write("other.csv", [HEADER, "1,red,2,cat", "3,blue,4,dog"])
    write("third.csv", [HEADER, "1,red,2,cat"])
    source = declared("TableFile", file=table, test_file="other.csv", validation_file="third.csv", target="kind")
    assert [len(source.load(split)) for split in source.splits] == [30, 1, 2]
    assert source.example().training_rows == 30


def test_standardised_columns_have_mean_0_and_deviation_1_over_the_training_rows(table: str) -> None:
    source = declared("TableFile", file=table, target="kind", standardize=True)
    train = source.load("train").inputs
    for column in (0, 4):
        assert train[:, column].mean().item() == pytest.approx(0, abs=1e-6)
        assert train[:, column].std(correction=0).item() == pytest.approx(1, abs=1e-6)
    assert set(train[:, 1:4].flatten().tolist()) == {0.0, 1.0}


def test_a_row_to_predict_is_treated_as_the_training_rows(table: str) -> None:
    source = declared("TableFile", file=table, test_file=copied(table), target="kind", standardize=True)
    read = source.read(["4.5,blue,8", "0.5, red ,0"])
    assert torch.equal(read.rows, source.load("test").inputs[[4, 0]])
    assert read.names == ("4.5,blue,8", "0.5, red ,0")


def test_a_file_to_predict_is_read_by_its_names(table: str) -> None:
    write("new.csv", ["width,length,colour", "8,4.5,blue"])
    read = declared("TableFile", file=table, target="kind").read(["new.csv"])
    assert (read.rows.tolist(), read.names) == ([[4.5, 1, 0, 0, 8]], ("new.csv:2",))


def test_a_column_of_equal_numbers_becomes_zeros(here: Path) -> None:
    write("flat.csv", ["a,b", *["7,1"] * 5])
    rows = declared("TableFile", file="flat.csv", target="b", standardize=True).load("train")
    assert rows.inputs.tolist() == [[0.0]] * 4


def test_written_classes_make_classes_of_numbers(here: Path) -> None:
    write("digits.csv", ["a,label", *[f"{i},{i % 2 + 1}" for i in range(6)]])
    source = declared(
        "TableFile", file="digits.csv", test_file=copied("digits.csv"), target="label", classes=["1", "2"]
    )
    assert source.load("test").targets.tolist() == [0, 1, 0, 1, 0, 1]


def test_without_the_file_the_written_options_say_the_shapes() -> None:
    source = declared(
        "TableFile", file="absent.csv", target="t", columns=["a", "b"], categories={"b": ["x", "y"]}, classes=["u", "v"]
    )
    example = source.example()
    assert (example.input, example.classes, example.training_rows) == (Shape("N", 3), ("u", "v"), None)
    assert refusal(source.load, "train")[0] == "no such file: absent.csv"


def test_without_the_file_and_the_columns_there_is_one_problem() -> None:
    assert refusal(declared("TableFile", file="absent.csv", target="t").example) == (
        "no such file: absent.csv",
        "set data.file to a CSV or Parquet file",
    )


@pytest.mark.parametrize(
    ("options", "option", "message", "remedy"),
    [
        ({"target": "kinds"}, "target", "table.csv has no column 'kinds'", 'did you mean "kind"?'),
        (
            {"target": "kind", "columns": ["widht"]},
            "columns",
            "table.csv has no column 'widht'",
            'did you mean "width"?',
        ),
    ],
)
def test_an_unknown_column_is_refused_with_the_nearest(
    table: str, options: dict[str, object], option: str, message: str, remedy: str
) -> None:
    with pytest.raises(OptionError) as refused:
        declared("TableFile", file=table, **options).example()
    assert (refused.value.option, refused.value.message, refused.value.remedy) == (option, message, remedy)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,red,,cat", "other.csv:2: width: the cell is empty"),
        ("1,red,wide,cat", "other.csv:2: width: 'wide' is not a number"),
        ("1,red,nan,cat", "other.csv:2: width: 'nan' is not finite in float32"),
        ("1,red,1e39,cat", "other.csv:2: width: '1e39' is not finite in float32"),
        ("1,pink,2,cat", "other.csv:2: colour: 'pink' is none of its words, blue, green, red"),
        ("1,red,2,cow", "other.csv:2: kind: 'cow' is none of the classes cat, dog"),
        ("1,red,2", "other.csv:2: 3 cells, but the first line names 4 columns"),
    ],
)
def test_a_faulty_row_is_refused_by_its_line(table: str, line: str, message: str) -> None:
    write("other.csv", [HEADER, line])
    assert refusal(declared("TableFile", file=table, test_file="other.csv", target="kind").load, "test")[0] == message


def test_a_column_of_numbers_with_a_word_among_them_is_refused(here: Path) -> None:
    write("ages.csv", ["age,y", "1,2", "NA,3", "4,5"])
    source = declared("TableFile", file="ages.csv", target="y")
    assert refusal(source.example) == (
        "the column 'age' of ages.csv holds numbers, and 'NA'",
        'correct the cells; or, if all of it are words, write its words into categories: "age": ["…", "…"]',
    )
    written = declared("TableFile", file="ages.csv", target="y", categories={"age": ["1", "4", "NA"]})
    assert written.example().input == Shape("N", 3)


def test_an_empty_cell_does_not_make_words_of_numbers(here: Path) -> None:
    write("ages.csv", ["age,y", "1,2", ",3", "4,5"])
    source = declared("TableFile", file="ages.csv", target="y")
    assert source.example().input == Shape("N", 1)
    assert refusal(source.load, "train")[0] == "ages.csv:3: age: the cell is empty"


def test_a_large_table_wants_its_words_written(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.data.table.SCANNED", 100)
    message, remedy = refusal(declared("TableFile", file=table, target="width", columns=["colour"]).example)
    assert message == "the column 'colour' of table.csv holds words, and the file is too large to look for all of them"
    assert remedy == 'write them: "categories": {"colour": ["…", "…"]}'
    numbers = declared("TableFile", file=table, target="width", columns=["length"]).example()
    assert (numbers.input, numbers.training_rows) == (Shape("N", 1), None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "bad.csv has no first line of column names"),
        (b"1,2\n3,4\n", "bad.csv has no first line of column names, but 1,2"),
        (b"a,a\n3,4\n", "bad.csv names the column 'a' twice"),
        (b"a,\xff\n", "cannot read bad.csv: 'utf-8' codec can't decode byte 0xff in position 2: invalid start byte"),
    ],
)
def test_a_file_that_is_no_table_is_refused(here: Path, content: bytes, message: str) -> None:
    Path("bad.csv").write_bytes(content)
    assert refusal(declared("TableFile", file="bad.csv", target="a").example)[0] == message


def test_a_table_whose_first_line_is_a_row_asks_for_names(here: Path) -> None:
    write("rows.csv", ["5.1,3.5,red", "4.9,3.0,blue"])
    assert refusal(declared("TableFile", file="rows.csv", target="colour").example) == (
        "rows.csv has no column 'colour': its first line is 5.1,3.5,red",
        "put a line of column names above it",
    )


def test_a_column_that_is_nearly_written_is_meant_though_others_are_called_as_numbers(here: Path) -> None:
    write("t.csv", ["2019,2020,price", "1,2,3"])
    assert refusal(declared("TableFile", file="t.csv", target="prize").example) == (
        "t.csv has no column 'prize'",
        'did you mean "price"?',
    )


def test_only_numbers_of_a_target_become_classes(here: Path) -> None:
    write("t.csv", ["x,y", "1,2"])
    lacking = declared("TableFile", file="t.csv", target="y").lacking
    assert list(lacking) == ["classes"]
    assert "to take the numbers of y as classes" in lacking["classes"]
    assert declared("TableFile", file="t.csv", reconstruct=True).lacking == {}


def test_numbers_of_more_digits_than_python_reads_number_no_rows(here: Path) -> None:
    write("t.csv", ["x,y", *[f"{'9' * 5000}{row},{row % 2}" for row in range(5)]])
    assert declared("TableFile", file="t.csv", target="y").doubts() == ()


def test_a_column_that_numbers_the_rows_is_told_unless_it_is_asked_for(here: Path) -> None:
    write("t.csv", ["id,x,y", *[f"{5 - i},{i % 3},{i % 2}" for i in range(5)]])
    (doubt,) = declared("TableFile", file="t.csv", target="y").doubts()
    assert (doubt.message, doubt.remedy) == (
        "the column 'id' of t.csv numbers its rows, and is learned from",
        'leave it out: "columns": ["x"]',
    )
    for options in ({"columns": ["id", "x"]}, {"target": "id"}):
        assert declared("TableFile", **{"file": "t.csv", "target": "y", **options}).doubts() == ()


def test_words_that_tell_each_row_from_the_others_are_told(here: Path) -> None:
    write("t.csv", ["name,x,y", *[f"n{i},{i % 3},{i % 2}" for i in range(5)]])
    (doubt,) = declared("TableFile", file="t.csv", target="y").doubts()
    assert doubt.message == "the column 'name' of t.csv has other words in each row, and is learned from"


def test_numbers_with_a_decimal_comma_are_not_taken_for_words(here: Path) -> None:
    write("t.csv", ["x;y", *[f"0,{i};{i}" for i in range(5)]])
    message, remedy = refusal(declared("TableFile", file="t.csv", target="y", delimiter=";").example)
    assert message == "the column 'x' of t.csv holds numbers with a comma: '0,0'"
    assert remedy.startswith("write a point in its place; or, if all of it are words, ")


def test_a_folder_and_a_table_without_rows_are_called_so(here: Path) -> None:
    write("t.csv", ["x,y"])
    assert refusal(declared("TableFile", file="t.csv", target="y").example)[0] == "t.csv has no rows"
    assert refusal(declared("TableFile", file=".", target="y").example)[0] == ". is a folder, not a file"


def test_the_file_of_another_split_is_missed_before_it_is_read(here: Path) -> None:
    write("t.csv", ["x,y", *[f"{i % 3},{i}" for i in range(5)]])
    for option in ("test_file", "validation_file"):
        (missing,) = declared("TableFile", file="t.csv", target="y", **{option: "no.csv"}).missing()
        assert (missing.message, missing.remedy, missing.option) == (
            "no such file: no.csv",
            f"give {option} the path of a file that is there",
            option,
        )


def test_another_delimiter_separates_the_cells(here: Path) -> None:
    write("semi.csv", ["a;b", *[f"{i};{i}" for i in range(5)]])
    assert declared("TableFile", file="semi.csv", target="b", delimiter=";").example().input == Shape("N", 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test": 0.1, "test_file": "t.csv"}, "test and test_file say the same twice; remove one of the two"),
        (
            {"test_file": "t.csv", "seed": 1},
            "seed says nothing where no rows are drawn; remove it, or write validation",
        ),
        ({"columns": ["a", "t"]}, "the target t stands in columns; remove it there"),
        ({"columns": ["a", "a"]}, "a name stands twice in columns; remove one"),
        (
            {"categories": {"t": ["x"]}},
            "the words of the target t stand in categories; write them into classes",
        ),
        ({"file": "t.parquet", "delimiter": ";"}, "delimiter says nothing of a Parquet file; remove it"),
    ],
)
def test_a_contradiction_is_refused(options: dict[str, object], message: str) -> None:
    assert contradiction("TableFile", **{"file": "x.csv", "target": "t", **options}) == message


@pytest.mark.parametrize(
    ("cell", "says"), [("1", True), (" -2.5e3 ", True), ("1_000", False), ("nan", True), ("", False)]
)
def test_what_a_number_is(cell: str, says: bool) -> None:
    assert is_number(cell) == says


def test_parquet_without_pyarrow_is_refused_with_the_remedy(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("t.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert refusal(declared("TableFile", file="t.parquet", target="t").example) == (
        "reading t.parquet needs pyarrow, which is not here",
        "pip install pyarrow, or give a CSV file",
    )


def test_parquet_says_what_the_same_csv_says(table: str) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    pyarrow_csv = pytest.importorskip("pyarrow.csv")
    parquet.write_table(pyarrow_csv.read_csv(table), "table.parquet")
    one, other = (declared("TableFile", file=file, target="kind") for file in (table, "table.parquet"))
    assert one.example() == other.example()
    assert torch.equal(one.load("train").inputs, other.load("train").inputs)
    assert torch.equal(one.load("test").targets, other.load("test").targets)


def test_a_table_of_any_bytes_is_read_or_refused(table: str) -> None:
    whole = Path(table).read_bytes()

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(st.integers(0, len(whole)), st.binary(max_size=30), st.integers(0, 40))
    def hold(place: int, inserted: bytes, cut: int) -> None:
        Path("bad.csv").write_bytes(whole[:place] + inserted + whole[place + cut :])
        try:
            declared("TableFile", file="bad.csv", target="kind").load("train")
        except DataError:
            return

    hold()


def test_resolved_it_needs_no_file_to_say_its_shapes(table: str) -> None:
    source = declared("TableFile", file=table, target="kind").resolved()
    Path(table).unlink()
    elsewhere = declared(**{"name": "TableFile", **{k: v for k, v in source.document().items() if k != "type"}})
    assert (elsewhere.example().input, elsewhere.example().classes) == (Shape("N", 5), ("cat", "dog"))
    assert elsewhere.read(["4.5,blue,8"]).rows.tolist() == [[4.5, 1, 0, 0, 8]]


def test_a_run_keeps_the_statistics_it_was_trained_with(here: Path) -> None:
    Path("t.csv").write_text("age,income,price\n20,1,10\n40,2,20\n60,3,30\n30,4,40\n50,5,50\n")
    source = declared("TableFile", file="t.csv", target="price", standardize=True).resolved()
    assert isinstance(source, TableFile)
    fitted = source.fitted()
    assert fitted.statistics is not None
    assert set(fitted.statistics) == {"age", "income"}
    assert torch.equal(fitted.load("train").inputs, source.load("train").inputs)
    again = TableFile.model_validate(frozen(json.loads(json.dumps(fitted.document()))))
    before = fitted.read(["20,1"]).rows
    Path("t.csv").write_text("age,income,price\n" + "".join(f"{n},{n},{n}\n" for n in range(100, 140)))
    assert torch.equal(again.read(["20,1"]).rows, before)


def test_statistics_without_standardize_are_refused() -> None:
    said = contradiction("TableFile", file="t.csv", target="y", statistics={"x": [0.0, 1.0]})
    assert "say nothing without standardize" in said


def test_the_remedy_for_a_file_without_a_column_names_those_that_are_wanted(here: Path) -> None:
    Path("t.csv").write_text("age,income,price\n20,1,10\n40,2,20\n60,3,30\n30,4,40\n")
    Path("bad.csv").write_text("hi\n1\n")
    source = declared("TableFile", file="t.csv", target="price").resolved()
    assert refusal(source.read, ["bad.csv"]) == (
        "bad.csv has no column 'age'",
        "give a file with the columns age, income",
    )


def test_the_resolved_source_says_the_part_of_the_test(table: str) -> None:
    assert declared("TableFile", file=table, target="kind").resolved().test == 0.2
    assert declared("TableFile", file=table, target="kind", test=0.5).resolved().test == 0.5
    assert declared("TableFile", file=table, target="kind", test_file=copied(table)).resolved().test is None


def test_rows_are_read_from_standard_input(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = declared("TableFile", file=table, target="kind")
    monkeypatch.setattr(sys, "stdin", io.StringIO("1.5,red,2\n\n3.5,blue,4\n"))
    found = source.read(["-"])
    typed = source.read(["1.5,red,2", "3.5,blue,4"])
    assert found.names == ("1.5,red,2", "3.5,blue,4")
    assert torch.equal(found.rows, typed.rows)


def test_a_first_line_on_standard_input_may_name_the_columns(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = declared("TableFile", file=table, target="kind")
    first, *_ = source.plan.columns
    names = [*reversed(source.plan.columns), "kind"]
    rows = [dict(zip(source.plan.columns, row, strict=True)) for row in (("1.5", "red", "2"), ("3.5", "blue", "4"))]
    lines = [",".join(names), "", *(",".join((row | {"kind": "?"})[name] for name in names) for row in rows)]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(lines)))

    found = source.read(["-"])
    assert found.names == ("standard input:3", "standard input:4")
    assert torch.equal(found.rows, source.read(["1.5,red,2", "3.5,blue,4"]).rows)

    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join([*lines, "1"])))
    assert refusal(source.read, ["-"]) == (
        "standard input:5: 1 cells, but the first line names 4 columns",
        "write one cell for each column",
    )
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{first}\n"))
    assert refusal(source.read, ["-"])[0] == "standard input:1: 1 cells, but the model takes 3"


def test_a_quoted_word_on_standard_input_may_hold_the_delimiter(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["length,word,kind", '1,"red, dark",cat', "2,blue,dog"]
    source = declared("TableFile", file=write("words.csv", lines), target="kind")
    monkeypatch.setattr(sys, "stdin", io.StringIO('1,"red, dark"\n'))
    assert source.read(["-"]).rows.tolist() == [[1.0, 0.0, 1.0]]


@pytest.mark.parametrize("path", ["absent.csv", "absent.parquet", "./absent", "absent.v2"])
def test_a_table_that_is_not_there_is_not_read_as_a_row(table: str, path: str) -> None:
    assert refusal(declared("TableFile", file=table, target="kind").read, [path])[0] == f"no such file: {path}"


def test_a_word_that_looks_like_a_path_is_a_word(here: Path) -> None:
    lines = ["host,up", *(["a.org,yes", "b/c,no"] * 4)]
    source = declared("TableFile", file=write("hosts.csv", lines), target="up")
    assert source.read(["a.org", "b/c"]).rows.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert refusal(source.read, ["c.org"])[0] == "no such file: c.org"


def test_the_first_line_of_what_is_no_table_is_not_told(here: Path) -> None:
    source = declared("TableFile", file=write("secret.txt", ["password: hunter2", "more"]), target="kind")
    assert refusal(source.example) == ("secret.txt has no column 'kind'", "give a table; or write its delimiter")


@pytest.mark.parametrize(("written", "said"), [(";", ","), ("\t", ","), (",", ";")])
def test_another_delimiter_is_told_at_the_delimiter(written: str, said: str, here: Path) -> None:
    lines = [written.join(row) for row in (("length", "kind"), ("1.5", "cat"), ("2.5", "dog"))]
    file = write("table.csv", lines)
    with pytest.raises(OptionError) as refused:
        declared("TableFile", file=file, target="kind", delimiter=said).example()
    assert refused.value.option == "delimiter"
    assert refused.value.message == f"the first line of table.csv has no delimiter {said!r}, but has {written!r}"
    assert refused.value.remedy.startswith(f'write "delimiter": {json.dumps(written)} in data, or ')
