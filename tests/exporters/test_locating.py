"""Locating: a bundle is found by itself, through its run, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Outcome
from exporters.locating import find_bundle, find_source, require_bundle, usual_place
from zoo.errors import UsageError
from zoo.run import Run


def test_a_bundle_is_found_without_a_run(here: Path) -> None:
    (here / "export").mkdir()
    (here / "export" / "certificate.json").touch()
    assert find_bundle("export") == (Path("export"), None)


def test_a_wrong_path_is_neither_a_bundle_nor_a_run(here: Path, zoo: Callable[..., Outcome]) -> None:
    (here / "empty").mkdir()
    for reference in ("empty", "nothing"):
        done = zoo("benchmark", reference)
        assert done.status == 2
        assert done.err.startswith(f"error: {reference} is neither a bundle nor a run\n   remedy: ")


def test_where_there_is_no_run_and_none_is_named_it_is_said(here: Path) -> None:
    with pytest.raises(UsageError, match="there is no run in runs/"):
        find_bundle(None)


def test_who_verifies_a_run_is_told_its_bundle(here: Path) -> None:
    run = here / "runs" / "line"
    run.mkdir(parents=True)
    (run / "spec.json").write_text('{"name": "line"}')
    (run / "environment.json").write_text("{}")
    for reference in ("runs/line", "line"):
        with pytest.raises(UsageError) as refused:
            require_bundle(Path(reference))
        assert refused.value.message == f"{reference} is a run, not a bundle"
        assert refused.value.remedy == "export it first: zoo export runs/line"
    (run / "export").mkdir()
    (run / "export" / "certificate.json").touch()
    with pytest.raises(UsageError) as refused:
        require_bundle(Path("runs/line"))
    assert refused.value.remedy == "zoo verify runs/line/export"
    require_bundle(Path("runs/line/export"))
    with pytest.raises(UsageError) as refused:
        require_bundle(Path("runs/line/export/certificate.json"))
    assert refused.value.remedy == "zoo verify runs/line/export"


def test_a_folder_without_a_certificate_is_for_the_proof_to_refuse(here: Path) -> None:
    require_bundle(here)


def test_the_bundle_of_a_run_goes_below_the_run_and_of_a_spec_below_export(here: Path) -> None:
    assert usual_place(Run(Path("runs/one"))) == Path("runs/one/export")
    assert usual_place(find_source("linear3", (), untrained=True)) == Path("export/linear3")


def test_a_time_that_is_no_number_is_refused(zoo: Callable[..., Outcome], here: Path) -> None:
    done = zoo("benchmark", "--seconds", "nan")
    assert (done.status, done.err.splitlines()[0]) == (2, "error: --seconds is not a number")
