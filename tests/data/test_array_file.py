"""ArrayFile: what the headers of .npz and .safetensors say, and what their arrays become."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from sources import assert_loads_what_it_says, contradiction, declared, refusal
from zoo.data.arrays import read_headers
from zoo.data.data import OptionError
from zoo.errors import DataError
from zoo.shapes import Shape

SUFFIXES = (".npz", ".safetensors")


def save(name: str, **arrays: Any) -> str:
    if name.endswith(".npz"):
        np.savez_compressed(name, **arrays)
    else:
        save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, name)
    return name


def rows(count: int = 20) -> np.ndarray[Any, Any]:
    return np.arange(count * 3, dtype=np.float64).reshape(count, 3)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8", "int16", "int64"])
@pytest.mark.parametrize("labels", ["int64", "uint8", "float32"])
def test_the_rows_are_what_the_example_says(here: Path, suffix: str, dtype: str, labels: str) -> None:
    save(f"a{suffix}", inputs=rows().astype(dtype), targets=(np.arange(20) % 3).astype(labels))
    source = declared("ArrayFile", file=f"a{suffix}", validation=0.2, test=0.3)
    assert_loads_what_it_says(source)
    assert len(source.example().classes) == (0 if labels == "float32" else 3)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.sampled_from(["<f2", "<f4", ">f8", "|u1", "<i2", ">i4", "<i8", "<u2"]),
    st.sampled_from(SUFFIXES),
    st.booleans(),
)
def test_a_header_says_the_sizes_and_the_dtype_of_the_array(
    here: Path, sizes: list[int], dtype: str, suffix: str, fortran: bool
) -> None:
    array = np.asarray(np.ones((6, *sizes)), dtype=dtype if suffix == ".npz" else dtype.replace(">", "<"))
    save(f"a{suffix}", x=np.asfortranarray(array) if fortran else array)
    header = read_headers(f"a{suffix}")["x"]
    assert header.sizes == array.shape
    assert header.dtype == ("float32" if "f" in dtype else "uint8" if dtype == "|u1" else "int64")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_numbers_are_those_of_the_array(here: Path, suffix: str) -> None:
    save(f"a{suffix}", inputs=rows(), targets=rows()[:, 0] / 3)
    shutil.copy(f"a{suffix}", f"b{suffix}")
    loaded = declared("ArrayFile", file=f"a{suffix}", test_file=f"b{suffix}").load("test")
    assert torch.equal(loaded.inputs, torch.from_numpy(rows()).float())
    assert torch.equal(loaded.targets, torch.from_numpy(rows()[:, :1] / 3).float())


def test_images_may_be_transformed(here: Path) -> None:
    save("a.npz", pictures=np.zeros((9, 3, 8, 8), np.uint8), y=np.arange(9) % 2)
    source = declared(
        "ArrayFile",
        file="a.npz",
        inputs="pictures",
        targets="y",
        transforms=[{"type": "Resize", "size": [4, 4]}, {"type": "ToDtype", "dtype": "float32"}],
    )
    assert (source.example().input, source.example().input_name) == (Shape("N", 3, 8, 8, dtype="uint8"), "image")
    assert_loads_what_it_says(source)


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_the_classes_are_counted_in_either_byte_order(here: Path, byteorder: str) -> None:
    save("a.npz", inputs=rows(), targets=(np.arange(20) % 7).astype(f"{byteorder}i4"))
    assert declared("ArrayFile", file="a.npz").example().classes == tuple("0123456")


def test_many_targets_want_their_classes_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.data.arrays.SCANNED", 16)
    save("a.npz", inputs=rows(), targets=np.arange(20) % 3)
    assert refusal(declared("ArrayFile", file="a.npz").example) == (
        "how many classes targets of a.npz has is not known without reading all of it",
        "write classes: their number, or their names",
    )
    assert declared("ArrayFile", file="a.npz", classes=3).example().sizes == {"classes": 3}
    assert declared("ArrayFile", file="a.npz", classes=["a", "b", "c"]).example().classes == ("a", "b", "c")


@pytest.mark.parametrize(
    ("arrays", "options", "option", "message"),
    [
        ({"x": rows(), "targets": rows()}, {}, "inputs", "a.npz has no array 'inputs'"),
        ({"inputs": rows(), "targets": rows(5)}, {}, "targets", "a.npz has 20 inputs but 5 targets"),
        ({"inputs": np.arange(5), "targets": np.arange(5)}, {}, "inputs", "inputs of a.npz has the sizes [5]"),
        ({"inputs": rows().astype(str), "targets": rows()}, {}, "inputs", "inputs of a.npz holds no numbers"),
        (
            {"inputs": rows(), "targets": rows()},
            {"classes": 3},
            "classes",
            "targets of a.npz are floats, which are no class numbers",
        ),
    ],
)
def test_an_option_that_does_not_fit_the_file_is_refused(
    here: Path, arrays: dict[str, Any], options: dict[str, Any], option: str, message: str
) -> None:
    save("a.npz", **arrays)
    with pytest.raises(OptionError) as refused:
        declared("ArrayFile", file="a.npz", **options).example()
    assert (refused.value.option, refused.value.message) == (option, message)


@pytest.mark.parametrize(
    ("inputs", "targets", "options", "message"),
    [
        (np.full((4, 3), np.nan), np.arange(4.0), {}, "inputs of a.npz is not finite in row 0"),
        (rows(4), np.array([0, 1, 2, 5]), {"classes": 3}, "targets of a.npz has the class 5, but there are 3 classes"),
        (
            rows(4),
            np.array([0, 1, 2, -1]),
            {"classes": 3},
            "targets of a.npz has the class -1, but there are 3 classes",
        ),
    ],
)
def test_impossible_numbers_are_refused(
    here: Path, inputs: Any, targets: Any, options: dict[str, Any], message: str
) -> None:
    save("a.npz", inputs=inputs, targets=targets)
    assert refusal(declared("ArrayFile", file="a.npz", **options).load, "train")[0].startswith(message)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("keep", [0, 5, 60, -30])
def test_a_damaged_file_is_refused(here: Path, suffix: str, keep: int) -> None:
    name = save(f"a{suffix}", inputs=rows(), targets=np.arange(20) % 3)
    Path(name).write_bytes(Path(name).read_bytes()[:keep])
    source = declared("ArrayFile", file=name, classes=3)
    assert f"of {name}" in refusal(source.load, "train")[0] or f"read {name}" in refusal(source.load, "train")[0]


def test_objects_in_a_file_run_no_code(here: Path) -> None:
    np.savez("a.npz", inputs=np.array([[{"a": 1}]], dtype=object), targets=np.zeros(1))
    assert refusal(declared("ArrayFile", file="a.npz").example)[0] == "inputs of a.npz holds no numbers"


def test_an_absent_file_is_refused() -> None:
    assert refusal(declared("ArrayFile", file="absent.npz").example) == (
        "no such file: absent.npz",
        "set data.file to a .npz or .safetensors file",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"file": "a.csv"}, "a.csv is neither .npz nor .safetensors; write the path of such a file"),
        (
            {"file": "a.npz", "inputs": "x", "targets": "x"},
            "inputs and targets are the same array; write another name",
        ),
    ],
)
def test_a_contradiction_is_refused(options: dict[str, Any], message: str) -> None:
    assert contradiction("ArrayFile", **options) == message


def test_typed_rows_are_read_in_the_dtype_of_the_inputs(here: Path) -> None:
    save("a.npz", inputs=rows().astype(np.int64), targets=rows())
    source = declared("ArrayFile", file="a.npz")
    assert source.read(["1,2,3"]).rows.tolist() == [[1, 2, 3]]
    assert refusal(source.read, ["1,2,3.5"])[0] == "the model takes whole numbers of int64"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_of_any_bytes_is_read_or_refused(here: Path, suffix: str) -> None:
    whole = Path(save(f"a{suffix}", inputs=rows(4), targets=np.arange(4))).read_bytes()

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(st.integers(0, len(whole)), st.binary(max_size=30), st.integers(0, 40))
    def hold(place: int, inserted: bytes, cut: int) -> None:
        Path(f"a{suffix}").write_bytes(whole[:place] + inserted + whole[place + cut :])
        try:
            declared("ArrayFile", file=f"a{suffix}", classes=4).load("train")
        except DataError:
            return

    hold()


def test_a_header_that_is_nested_too_deep_is_refused(here: Path) -> None:
    header = b"[" * 100_000
    Path("a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert refusal(declared("ArrayFile", file="a.safetensors").example)[0].startswith("cannot read a.safetensors")


def test_resolved_it_says_its_classes(here: Path) -> None:
    save("a.npz", inputs=rows(), targets=np.arange(20) % 3)
    assert declared("ArrayFile", file="a.npz").resolved().classes == ("0", "1", "2")
