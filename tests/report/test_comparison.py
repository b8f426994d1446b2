"""The page of several runs: curves over each other, and what differs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Outcome, linear
from pages import Reader, images, trained

Write = Callable[..., str]
Zoo = Callable[..., Outcome]


def test_runs_are_laid_over_each_other_with_what_differs(write: Write, zoo: Zoo, here: Path) -> None:
    for rate in (0.01, 0.02, 0.003):
        trained(write(linear(optimizer__lr=rate)))
    done = zoo("report", "runs/line", "runs/line-2", "runs/line-3", "--json")
    assert done.status == 0
    record = json.loads(done.out)
    assert record["options"] == {"optimizer.lr": [0.01, 0.02, 0.003]}
    assert record["environment"] == {}
    assert [run["run"] for run in record["runs"]] == ["runs/line", "runs/line-2", "runs/line-3"]
    page = Reader((here / record["report"]).read_text())
    assert "script" not in page.elements
    assert "optimizer.lr" in page.text
    assert ("aria-label", "test mean absolute error by epoch") in page.attributes
    assert {"run0", "run1", "run2"} <= {value for name, value in page.attributes if name == "class"}


def test_a_hostile_path_is_shown_and_never_run(write: Write, zoo: Zoo, here: Path) -> None:
    first, second = trained(write(linear())), trained(write(linear()))
    odd = here / "<script>alert('1')<" / 'a"b'
    odd.parent.mkdir()
    second.path.rename(odd)
    assert zoo("report", first.path, odd).status == 0
    page = Reader((here / "report.html").read_text())
    assert "script" not in page.elements
    assert str(odd) in page.text


def test_a_page_that_is_there_stays_unless_it_is_to_be_replaced(write: Write, zoo: Zoo, here: Path) -> None:
    trained(write(linear()))
    trained(write(linear()))
    (here / "mine.html").write_text("mine")
    runs = ("runs/line", "runs/line-2")
    done = zoo("report", *runs, "-o", "mine.html")
    assert (done.status, done.err) == (
        2,
        "error: mine.html is there already\n   remedy: give another file with -o, or --overwrite\n",
    )
    assert (here / "mine.html").read_text() == "mine"
    assert zoo("report", *runs, "-o", "mine.html", "--overwrite").status == 0
    assert (here / "mine.html").read_text().startswith("<!doctype html>")


def test_runs_without_a_common_metric_are_refused(write: Write, zoo: Zoo) -> None:
    trained(write(linear()))
    trained(write(images()))
    done = zoo("report", "line", "noise")
    assert done.status == 2
    assert done.err == (
        "error: the runs have no measurement in common: runs/line has train_loss (MSELoss), test_loss (MSELoss), "
        "test_mean_absolute_error; runs/noise has train_loss (CrossEntropyLoss), test_loss (CrossEntropyLoss), "
        "test_accuracy\n   remedy: compare runs with the same loss, or with a metric in common\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("runs/line", "nowhere"), "no such run: nowhere"),
        (("runs/line", "runs/line"), "the run runs/line is named twice"),
        (("runs/line", "runs/line-2", "-o", "runs"), "runs is a folder"),
        (("runs/line", "--overwrite"), "RUN/report.html is always written anew"),
    ],
)
def test_what_cannot_be_reported_is_said(write: Write, zoo: Zoo, arguments: tuple[str, ...], said: str) -> None:
    trained(write(linear()))
    trained(write(linear()))
    done = zoo("report", *arguments)
    assert (done.status, said in done.err, done.out) == (2, True, "")


def test_damaged_metrics_are_one_clear_error(write: Write, zoo: Zoo, here: Path) -> None:
    first, second = trained(write(linear())), trained(write(linear()))
    second.metrics_file.write_text("{\n")
    done = zoo("report", first.path, second.path)
    assert (done.status, "runs/line-2/metrics.jsonl cannot be read" in done.err) == (2, True)
    assert not (here / "report.html").exists()
