"""The page of a run: one well-formed file that loads nothing and says what the run's files say."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import Document, Outcome, linear
from pages import Reader, images, trained
from zoo.errors import RunError
from zoo.report.confusion import Confusion
from zoo.report.evaluation import Evaluation, read_evaluation
from zoo.report.markup import safe
from zoo.report.record import Record, read_record
from zoo.report.run_page import run_page
from zoo.training.watching import Row
from zoo.visible import visible

Write = Callable[..., str]
HOSTILE = "</title><script>alert(\"1\")</script>' onload='x"


def record(write: Write, **changes: object) -> Record:
    return read_record(trained(write(linear(**changes))))


def test_the_page_is_well_formed_and_loads_and_runs_nothing(write: Write) -> None:
    page = Reader(trained(write(images())).report_file.read_text())
    assert {"script", "link", "iframe", "object"}.isdisjoint(page.elements)
    assert {name for name, _ in page.attributes if name.startswith("on")} == set()
    addresses = [value for name, value in page.attributes if name in ("src", "href", "srcset", "action")]
    assert addresses
    assert all(value.startswith("data:image/png;base64,") for value in addresses)
    assert any(value.startswith("default-src 'none'") for _, value in page.attributes)


def test_a_regression_shows_its_numbers_curves_scatter_and_weights_beside_truth(write: Write) -> None:
    run = trained(write(linear()))
    page = Reader(run.report_file.read_text())
    assert f"{run.rows()[-1]['test_loss']:.5g}" in page.text
    shown = ("Weights beside truth", "predicted over true", "learning rate", "mean absolute error")
    assert [title for title in shown if title not in page.text] == []
    assert page.elements.count("circle") == 20 + 2 * 4  # test rows; epochs of four lines
    assert '"batch_size": 4' in page.text
    assert str(run.environment()["torch"]) in page.text


def test_a_classifier_shows_its_matrix_its_classes_and_its_mistakes_as_images(write: Write) -> None:
    run = trained(write(images()))
    found = read_evaluation(run.evaluation_file)
    assert found is not None
    assert found.confusion is not None
    assert (found.rows, found.confusion.total) == (24, 24)
    assert found.confusion.right == round(24 * run.rows()[-1]["test_accuracy"])
    assert len(found.mistakes) == min(24, found.confusion.total - found.confusion.right)
    page = run.report_file.read_text()
    assert page.count("<img ") == len(found.mistakes)
    assert f"{found.confusion.right} of 24 are right" in page
    assert "Precision, recall and F1" in page


def test_a_mistake_is_called_by_its_file_below_the_root(write: Write, here: Path) -> None:
    root = here / "photographs"
    levels = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3), dtype=np.uint8)
    for number, image in enumerate(levels):
        folder = root / ("train", "test")[number % 2] / "abc"[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"<{number}> \n.png")
    os.rename(root / "test" / "a" / "<3> \n.png", os.fsencode(root / "test" / "a") + b"/\xff.png")
    document = images()
    data = {"type": "ImageFolder", "root": str(root), "transforms": document["data"]["transforms"]}
    resize: Document = {"type": "Resize", "size": [8, 8]}
    run = trained(write(document | {"data": data | {"transforms": [resize, *data["transforms"]]}}))

    found, page = read_evaluation(run.evaluation_file), run.report_file.read_text()
    assert found is not None
    assert found.mistakes
    files = sorted(root.glob("test/*/*"))
    for mistake in found.mistakes:
        assert mistake.file == os.fsencode(files[mistake.row].relative_to(root)).decode(errors="backslashreplace")
        assert mistake.file.startswith(f"test/{mistake.true}/")
        assert safe(visible(mistake.file)) in page
    mistakes = page.split('<ul class="mistakes">')[1].split("</ul>")[0]
    assert "row " not in mistakes
    assert str(here) not in mistakes
    assert "file" not in json.loads(trained(write(images())).evaluation_file.read_text())["mistakes"][0]


def test_the_surest_mistakes_come_first(write: Write) -> None:
    found = read_evaluation(trained(write(images())).evaluation_file)
    assert found is not None
    sure = [mistake.probability for mistake in found.mistakes]
    assert sure == sorted(sure, reverse=True)
    assert all(mistake.true != mistake.predicted for mistake in found.mistakes)
    assert all(base64.b64decode(mistake.image.partition(",")[2])[1:4] == b"PNG" for mistake in found.mistakes)


def test_hostile_names_are_shown_and_never_run(write: Write) -> None:
    made = record(write, summary=HOSTILE)
    confusion = Confusion(classes=(HOSTILE, "b"), counts=((1, 2), (0, 3)))
    made = replace(made, evaluation=Evaluation(rows=6, confusion=confusion), error=HOSTILE)
    page = Reader(run_page(made))
    assert "script" not in page.elements
    assert "onload" not in {name for name, _ in page.attributes}
    assert page.text.count(HOSTILE) >= 4


def test_many_classes_are_listed_by_their_most_frequent_confusions(write: Write) -> None:
    counts = tuple(tuple(7 if (i, j) == (3, 5) else int(i == j) for j in range(40)) for i in range(40))
    confusion = Confusion(classes=tuple(f"kind{i}" for i in range(40)), counts=counts)
    page = run_page(replace(record(write), evaluation=Evaluation(rows=47, confusion=confusion)))
    assert '<table class="matrix"' not in page
    assert '<tr><th scope="row">kind3</th><td>kind5</td><td class="number">7</td><td class="number">87.5%</td>' in page


def test_ten_thousand_epochs_stay_far_below_a_megabyte(write: Write) -> None:
    rows: list[Row] = [
        {"epoch": i, "lr": 0.1, "train_loss": 1 / i, "test_loss": 900.0 if i == 7777 else 2 / i, "seconds": 0.1}
        for i in range(1, 10_001)
    ]
    page = run_page(replace(record(write), rows=rows, kept=rows[-1]))
    assert len(page.encode()) < 200_000


def test_rows_with_steps_are_drawn_along_steps(write: Write) -> None:
    rows: list[Row] = [{"epoch": 1, "step": 50 * i, "lr": 0.1, "train_loss": 1.0 * i, "seconds": 1} for i in (1, 2, 3)]
    page = Reader(run_page(replace(record(write), rows=rows, kept=rows[1])))
    assert ("aria-label", "loss by step") in page.attributes
    assert "weights kept" in page.text
    assert "step of these weights" in page.text


def test_a_training_that_broke_off_says_so(write: Write) -> None:
    run = trained(write(linear()))
    run.weights_file.unlink()
    with run.metrics_file.open("a") as lines:
        lines.write(json.dumps({"epoch": 3, "error": "the loss is nan"}) + "\n")
    assert "The training broke off: the loss is nan." in run_page(read_record(run))


def test_a_run_without_any_measurement_has_a_page(write: Write) -> None:
    page = Reader(run_page(replace(record(write), rows=[], kept={}, evaluation=None, ended=False)))
    assert "The training has not ended" in page.text


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"rows": 1, "confusion": {"classes": ["a"], "counts": [[1, 2]]}}', '{"rows": NaN}', "\x00"]
)
def test_a_damaged_evaluation_is_refused(write: Write, text: str) -> None:
    run = trained(write(linear()))
    run.evaluation_file.write_text(text)
    with pytest.raises(RunError, match=r"evaluation\.json cannot be read"):
        read_record(run)


def test_an_evaluation_cannot_bring_an_address_from_outside(write: Write) -> None:
    run = trained(write(images()))
    document = json.loads(run.evaluation_file.read_text())
    document["mistakes"][0]["image"] = "https://example.org/seen.png"
    run.evaluation_file.write_text(json.dumps(document))
    with pytest.raises(RunError):
        read_record(run)


def test_evaluate_prints_the_matrix_and_json_has_it(write: Write, zoo: Callable[..., Outcome]) -> None:
    run = trained(write(images()))
    done = zoo("evaluate", run.path)
    assert (done.status, "rows are true classes" in done.out, "precision" in done.out) == (0, True, True)
    record = json.loads(zoo("evaluate", run.path, "--json").out)
    found = read_evaluation(run.evaluation_file)
    assert found is not None
    assert found.confusion is not None
    assert record["confusion"] == json.loads(json.dumps(found.confusion.record()))
    assert {score["class"] for score in record["confusion"]["per_class"]} <= {"0", "1", "2"}


def test_report_writes_the_same_page_from_the_files_alone(write: Write, zoo: Callable[..., Outcome]) -> None:
    run = trained(write(images()))
    page = run.report_file.read_text()
    run.report_file.unlink()
    assert zoo("report", run.path).status == 0
    assert run.report_file.read_text() == page
