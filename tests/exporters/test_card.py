from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import Document
from exporters import card, features
from exporters.bundle import publish
from exporters.destination import Destination
from exporters.subject import Subject, find_subject
from zoo.data.text_file import TextFile

if TYPE_CHECKING:
    from specimens import Draw, MakeSubject, Published

pytest_plugins = ["specimens"]


def code(text: str, language: str) -> list[str]:
    """The blocks of a language in a Markdown text."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def printed(snippets: list[str], folder: Path) -> list[str]:
    """What snippets of a bundle's card print in that folder, one after the other; none sees a name of another."""
    code = f"for snippet in {snippets!r}:\n    exec(snippet, {{}})\n    print('---')"
    command = [sys.executable, "-I", "-c", code]
    told = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    return told.split("---\n")[:-1]


@pytest.fixture(scope="module")
def readme(published: Published) -> str:
    return (published.folder / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def rendered(image_subject: Subject, published: Published) -> str:
    """The card of the digits, with the proof of the perceptron's ONNX file."""
    return card.render(image_subject, published.certificate.proofs[:1])


def test_the_snippets_run_as_they_stand_where_the_bundle_was_copied_to(
    published: Published, readme: str, tmp_path: Path
) -> None:
    copied = shutil.copytree(published.folder, tmp_path / "received")

    told = printed(code(readme, "python"), copied)

    assert [bool(re.match(r"(tensor\()?\[\[-?\d+\.\d+", answer)) for answer in told] == [True] * 3


@pytest.mark.usefixtures("in_this_process")
def test_the_snippet_of_an_image_model_runs_as_it_stands(image_subject: Subject, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    publish(image_subject, ["onnx"], Destination(folder))
    snippets = code((folder / "README.md").read_text(encoding="utf-8"), "python")

    (answer,) = printed(snippets, folder)
    assert len(answer.strip("[]\n").split()) == 10


def test_the_card_begins_with_the_name_and_the_summary(readme: str) -> None:
    assert readme.startswith(
        "# perceptron\n\nA small perceptron.\n\nTrained on LinearFunction; measured when these weights were kept:\n"
    )


def test_a_trained_model_shows_its_last_measurements(readme: str, published: Published) -> None:
    metrics = published.subject.metrics

    assert f"| epoch | 20 |\n| lr | 0.01 |\n| train loss | {metrics['train_loss']:.6g} |\n" in readme
    assert f"| test mean absolute error | {metrics['test_mean_absolute_error']:.6g} |\n" in readme
    assert "seconds" not in readme


def test_a_model_of_fresh_weights_says_so(rendered: str) -> None:
    assert "**Not trained**: the weights are fresh from the seed." in rendered
    assert "Trained on" not in rendered


def test_input_and_output_stand_with_names_and_shapes(readme: str) -> None:
    assert "* `features`: (N, 4), float32; N is any batch size.\n* `prediction`: (N, 1), float32.\n" in readme


def test_the_preprocessing_of_an_image_is_told_in_order(rendered: str) -> None:
    assert (
        "* `image`: (N, 1, 28, 28), float32; N is any batch size.\n"
        "* `logits`: (N, 10), float32.\n"
        "* Before: (N, 1, 28, 28) of uint8, then "
        '`{"type": "ToDtype", "dtype": "float32", "scale": true}`, then '
        '`{"type": "Normalize", "mean": [0.5], "std": [0.25]}`.\n'
        "* The classes along axis 1 of `logits`: 0: 0 - zero, 1: 1 - one, "
    ) in rendered


def test_the_classes_of_a_mask_are_along_its_channels(published: Published) -> None:
    subject = find_subject("unet", ("data.size=4", "data.image_size=[3,32,32]"), untrained=True)

    told = card.render(subject, published.certificate.proofs[:1])

    assert "* `logits`: (N, 2, 32, 32), float32.\n" in told
    assert "* The classes along axis 1 of `logits`: 0: 0, 1: 1.\n" in told


def test_there_is_a_snippet_for_each_exported_file_and_no_other(published: Published) -> None:
    proofs = published.certificate.proofs

    snippets = [code(card.render(published.subject, [proof]), "python") for proof in proofs]
    assert [len(found) for found in snippets] == [1, 1, 1]
    assert "onnxruntime" in snippets[0][0]
    assert "onnxruntime" not in snippets[1][0]


def test_the_proof_stands_with_a_line_for_each_way_a_file_was_run(readme: str, published: Published) -> None:
    lines = re.findall(r"^\| (model\.\w+) \| (.+) \| (.+) \| (.+) \|$", readme, re.MULTILINE)

    assert lines == [
        (
            proof.file,
            f"{ran.runtime} {ran.version}, {ran.mode}",
            f"{ran.comparisons[0].file_max:.3g}",
            f"{ran.comparisons[0].max_limit:.3g}",
        )
        for proof in published.certificate.proofs
        for ran in proof.executions
    ]
    assert len(lines) == 4


def test_the_spec_stands_whole(readme: str, published: Published) -> None:
    (document,) = code(readme, "json")

    assert json.loads(document) == published.subject.checked.spec.document()


def test_a_spec_without_a_summary_has_no_gap(fresh: MakeSubject, published: Published) -> None:
    subject = fresh([{"type": "Linear", "out_features": 1}])

    assert "\n\n\n" not in card.render(subject, published.certificate.proofs)


TEXT = 'the "quick" \\\\ brown fox —\N{NO-BREAK SPACE}jumps\r\nover `the` lazy dog \N{DOG FACE} '
ENCODING = {
    "character": ("[vocabulary.index(letter) for letter in text]", '"".join(vocabulary[number] for number in tokens)'),
    "byte": ("list(text.encode())", 'bytes(tokens).decode(errors="replace")'),
}


@pytest.mark.parametrize("unit", ENCODING)
def test_the_card_alone_makes_tokens_of_text_and_text_of_tokens(unit: str, tmp_path: Path, draw: Draw) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes((TEXT * 20).encode())
    data: Document = {"type": "TextFile", "file": str(file), "tokens": unit, "context": 6}
    layers: list[Document] = [
        {"type": "Embedding", "num_embeddings": "vocabulary", "embedding_dim": 4},
        {"type": "Linear", "out_features": "vocabulary"},
    ]
    subject = draw(tmp_path, layers, data=data, metrics=[], loss={"type": "CrossEntropyLoss"})
    shown = card.render(subject, ())

    encode, decode = ENCODING[unit]
    assert f"`{encode}`" in shown
    assert f"`{decode}`" in shown
    vocabulary = json.loads(code(shown, "json")[0]) if unit == "character" else None
    told = json.loads(subject.metadata()["zoo.tokens"])
    assert told == {"token": unit} | ({"vocabulary": vocabulary} if vocabulary else {})
    made = eval(encode, {"vocabulary": vocabulary, "text": TEXT})
    source = subject.checked.spec.data
    assert isinstance(source, TextFile)
    assert made == source.encode(TEXT).tolist()
    assert eval(decode, {"vocabulary": vocabulary, "tokens": made}) == TEXT


def test_a_long_vocabulary_stands_in_the_card_and_not_in_the_file(tmp_path: Path, draw: Draw) -> None:
    vocabulary = "".join(map(chr, range(0x4E00, 0x4E00 + features.MOST_CHARACTERS + 1)))
    (tmp_path / "text.txt").write_text(vocabulary[:60], encoding="utf-8")
    data = {"type": "TextFile", "file": str(tmp_path / "text.txt"), "tokens": "character", "context": 3}
    layers: list[Document] = [
        {"type": "Embedding", "num_embeddings": "vocabulary", "embedding_dim": 1},
        {"type": "Linear", "out_features": 2},
        {"type": "Linear", "out_features": "vocabulary"},
    ]
    subject = draw(
        tmp_path, layers, data=data | {"vocabulary": vocabulary}, metrics=[], loss={"type": "CrossEntropyLoss"}
    )

    assert json.loads(subject.metadata()["zoo.tokens"]) == {"token": "character"}
    assert json.loads(code(card.render(subject, ()), "json")[0]) == vocabulary


def test_rows_that_are_no_text_have_no_tokens(image_subject: Subject, rendered: str) -> None:
    assert "zoo.tokens" not in image_subject.metadata()
    assert "token" not in rendered
