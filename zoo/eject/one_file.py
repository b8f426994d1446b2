"""Files: the Python text that reads the rows of one file, a table or arrays, and divides them into splits."""

from __future__ import annotations

from zoo.data.array_file import ArrayFile
from zoo.data.splitting import OneFile
from zoo.data.table import is_parquet
from zoo.data.table_file import TableFile
from zoo.eject.constructor import literal
from zoo.errors import ExportError


def file_lines(data: OneFile) -> list[str]:
    """Return the lines of `data` that make the inputs and the targets of a split.

    Raises:
        ExportError: nothing is known of this source.
    """
    if isinstance(data, ArrayFile):
        return [*_chosen_file(data), *_arrays(data), *_divided(data)]
    if not isinstance(data, TableFile):
        kind = type(data).__name__
        raise ExportError(f"the data {kind} cannot be ejected", "eject a spec with another source")
    lines = [*_chosen_file(data), "    inputs, targets = read_table(file)"]
    if data.standardize and data.statistics is None:
        return [
            *lines,
            *_learned_statistics(data),
            *_divided(data),
            "    inputs = ((inputs - mean) / deviation).float()",
        ]
    if data.standardize:
        numbers = [(0.0, 1.0) if words else (data.statistics or {})[column] for column, words in _features(data)]
        mean, deviation = ([pair[index] for pair in numbers] for index in (0, 1))
        lines += _long("    mean = torch.tensor(", mean, ", dtype=torch.float64)")
        lines += _long("    deviation = torch.tensor(", deviation, ", dtype=torch.float64)")
        return [*lines, *_divided(data), "    inputs = ((inputs - mean) / deviation).float()"]
    return [*lines, *_divided(data), "    inputs = inputs.float()"]


def table_source(data: TableFile) -> str:
    """Return the names of the columns, and the function that reads a table."""
    plan = data.plan
    lines = _long("COLUMNS = ", plan.columns)
    if plan.categories:
        words = [f"    {literal(column)}: {literal(list(words))}," for column, words in plan.categories.items()]
        lines += ["CATEGORIES = {  # the words of the columns that hold words", *words, "}"]
    lines += _long("CLASSES = ", plan.classes) if plan.classes else []
    read = (_PARQUET if is_parquet(data.file) else _CSV.replace("DELIMITER", repr(data.delimiter))).strip("\n")
    target = literal(data.target)
    numbers = f"[float(row[{target}]) for row in rows]"
    targets = f"torch.tensor({numbers}, dtype=torch.float64).float().unsqueeze(1)"
    if plan.classes:
        targets = f"torch.tensor([CLASSES.index(row[{target}]) for row in rows])"
    features = (_WORDS if plan.categories else _NUMBERS).strip("\n").splitlines()
    given = [f"    targets = {targets}", "    return torch.cat(parts, 1), targets"]
    if data.reconstruct:
        given = ["    inputs = torch.cat(parts, 1)", "    return inputs, inputs"]
    return "\n".join([*lines, "", "", read, *features, *given])


_CSV = '''
def read_table(file: str) -> tuple[Tensor, Tensor]:
    """Return the features, in float64, and the targets of all rows of a table."""
    with open(file, newline="", encoding="utf-8-sig") as lines:
        rows = list(csv.DictReader(lines, delimiter=DELIMITER, strict=True))
'''
_PARQUET = '''
def read_table(file: str) -> tuple[Tensor, Tensor]:
    """Return the features, in float64, and the targets of all rows of a table."""
    table = pyarrow.parquet.read_table(file).to_pylist()
    rows = [{name: str(int(cell) if isinstance(cell, bool) else cell) for name, cell in row.items()} for row in table]
'''
_NUMBERS = """
    parts = [torch.tensor([[float(row[column])] for row in rows], dtype=torch.float64) for column in COLUMNS]
"""
_WORDS = """
    parts = []
    for column in COLUMNS:
        words = CATEGORIES.get(column)
        if words is None:
            parts.append(torch.tensor([[float(row[column])] for row in rows], dtype=torch.float64))
        else:
            numbers = torch.tensor([words.index(row[column]) for row in rows])
            parts.append(nn.functional.one_hot(numbers, len(words)).double())  # (N, words)
"""


def _features(data: TableFile) -> list[tuple[str, bool]]:
    """Return the column of each feature, and whether it holds words."""
    categories = data.plan.categories
    return [(column, column in categories) for column in data.plan.columns for _ in categories.get(column, "1")]


def _learned_statistics(data: TableFile) -> list[str]:
    """Return the lines that measure the columns of numbers over the training rows."""
    places = [place for place, (_, words) in enumerate(_features(data)) if not words]
    whole = places == list(range(len(_features(data))))
    rows = "inputs" if data.file_of("test") == data.file_of("validation") == data.file else "read_table(FILE)[0]"
    return [
        f"    learned = {rows}",
        '    learned = learned[rows_of("train", len(learned))]',
        "    mean, deviation = torch.zeros_like(learned[0]), torch.ones_like(learned[0])",
        f"    for place in {f'range({len(places)})' if whole else literal(tuple(places))}:"
        + ("" if whole else "  # the columns of numbers"),
        "        mean[place], spread = learned[:, place].mean(), learned[:, place].std(correction=0)",
        "        deviation[place] = spread if spread > 0 else 1.0",
    ]


def _arrays(data: ArrayFile) -> list[str]:
    example = data.example()
    lines = ["    arrays = np.load(file)"] if data.file.endswith(".npz") else ["    arrays = load_file(file)"]
    kinds = {
        file.lower().endswith(".npz")
        for file in (data.file_of("train"), data.file_of("validation"), data.file_of("test"))
    }
    if kinds == {True, False}:
        lines = ['    arrays = np.load(file) if file.lower().endswith(".npz") else load_file(file)']
    elif kinds == {True}:
        lines = ["    arrays = np.load(file)"]
    taken_from = [("inputs", data.inputs, example.input)]
    taken_from += [] if data.reconstruct else [("targets", data.targets, example.target)]
    for name, key, shape in taken_from:
        taken = f"arrays[{literal(key)}]"
        made = f"{taken}.to(torch.{shape.dtype})"
        if True in kinds:
            made = f"torch.as_tensor({taken}.astype(np.{shape.dtype}))"
        if kinds == {True, False}:
            made = f"torch.as_tensor(np.asarray({taken}).astype(np.{shape.dtype}))"
        lines.append(f"    {name} = {made}")
    if data.reconstruct:
        lines.append("    targets = inputs")
    elif example.target.rank == 2:
        lines.append("    targets = targets.unsqueeze(1) if targets.ndim == 1 else targets")
    return lines


def _chosen_file(data: OneFile) -> list[str]:
    """Return the line that says which file holds the split."""
    own = {"validation": data.validation_file, "test": data.test_file}
    named = {split: f"{split.upper()}_FILE" for split, file in own.items() if file is not None}
    if not named:
        return ["    file = FILE"]
    said = ", ".join(f'"{split}": {name}' for split, name in named.items())
    return [f"    file = {{{said}}}.get(split, FILE)"]


def _divided(data: OneFile) -> list[str]:
    """Return the lines that take the rows of a split."""
    if not _draws(data):
        return []
    lines = ["    chosen = rows_of(split, len(inputs))", "    inputs, targets = inputs[chosen], targets[chosen]"]
    apart = [split for split in ("validation", "test") if getattr(data, f"{split}_file") is not None]
    if not apart:
        return lines
    drawn = [split for split in data.splits if split not in apart]
    condition = f"split in {literal(tuple(drawn))}" if len(drawn) > 1 else 'split == "train"'
    return [f"    if {condition}:", *(f"    {line}" for line in lines)]


def _draws(data: OneFile) -> bool:
    return data.test_part is not None or data.validation is not None


def split_source(data: OneFile) -> str:
    """Return the function that draws the rows of each split out of those of one file; empty where nothing is drawn."""
    if not _draws(data):
        return "" if not _measures(data) else _ALL_ROWS.strip("\n")
    lines = ["    rest = torch.arange(count)"]
    if data.test_part is not None:
        lines += [f"    rest, test = keep_out(rest, {data.test_part!r}, seed={data.seed})"]
    if data.validation is not None:
        lines += [f"    rest, validation = keep_out(rest, {data.validation!r}, seed={data.seed})"]
    named = {"train": "rest"}
    named |= {"validation": "validation"} if data.validation is not None else {}
    named |= {"test": "test"} if data.test_part is not None else {}
    said = ", ".join(f'"{split}": {name}' for split, name in named.items())
    head = ["def rows_of(split: str, count: int) -> Tensor:", '    """Return the numbers of a split\'s rows."""']
    return "\n".join([*head, *lines, f"    return {{{said}}}[split]"])


def _measures(data: OneFile) -> bool:
    return isinstance(data, TableFile) and data.standardize and data.statistics is None


_ALL_ROWS = '''
def rows_of(split: str, count: int) -> Tensor:
    """Return the numbers of a split's rows: all of its file."""
    return torch.arange(count)
'''


def _long(start: str, values: object, end: str = "") -> list[str]:
    """Return an assignment of several values, one to a line where they are many."""
    assert isinstance(values, tuple | list)
    line = f"{start}{literal(list(values))}{end}"
    if len(line) <= 110:
        return [line]
    return [f"{start}[", *(f"    {literal(value)}," for value in values), f"]{end}"]
