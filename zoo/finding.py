"""Finding: which run a person means."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from zoo import catalog
from zoo.check import check_file
from zoo.data import DATA, Data
from zoo.errors import RunError, UsageError
from zoo.files import json_object
from zoo.nearest import suggestion
from zoo.run import RUNS, Run
from zoo.source import find_spec


def find_run(reference: str | None, overrides: Sequence[str] = (), ended: bool = True) -> Run:
    """Return the run a person means: a directory, a spec's name (its newest run), or None (the newest of all).

    A name such as linear3-2 is that of a directory in runs/, where no spec has it.

    Of runs that are not named by their directory, those that have ended come first; or, to go on with one, the others.

    Raises:
        UsageError: there is no such run, or an override is not of the data.
    """
    found = _run_at(Path(reference)) if reference is not None else None
    found = found or newest_run(reference, ended)
    found = found or next((run for run in _runs_here() if run.path.name == reference), None)
    if found is not None:
        require_whereabouts(found.spec_file, overrides)
        return Run(found.path, tuple(overrides))
    if reference is None:
        raise UsageError("there is no run in runs/", "train first: zoo train SPEC")
    if Path(reference).is_dir():
        left = (Path(reference) / "model.safetensors").is_file()
        remedy = "put it back: it says what the weights are of" if left else "name a directory that zoo train wrote"
        raise UsageError(f"{reference} is no run: it has no spec.json", remedy)
    runs = _runs_here()
    known = list(dict.fromkeys(name for run in runs for name in (str(run.path), _spec_name(run), run.path.name)))
    remedy = suggestion(reference, known) if known else "train first: zoo train SPEC"
    raise UsageError(f"no such run: {reference}", remedy)


def _run_at(folder: Path) -> Run | None:
    return Run(folder) if (folder / "spec.json").is_file() else None


def find_trained(reference: str | None, overrides: Sequence[str] = ()) -> Run:
    """Return the run a person means to export.

    Raises:
        UsageError: there is no such run, a spec is named where a run is meant, or an override is not of the data.
    """
    if reference is not None and _is_spec(reference):
        _refuse_part(Path(reference))
        require_whereabouts(find_spec(reference), overrides)
        _refuse_spec(reference)
    return find_run(reference, overrides)


def _is_spec(reference: str) -> bool:
    """Return whether this names a spec and no run."""
    named = Path(reference).is_file() or catalog.path_of(reference) is not None
    return named and _run_at(Path(reference)) is None and newest_run(reference) is None


def _refuse_part(file: Path) -> None:
    """Refuse a file of a run where the run is meant."""
    if file.is_file() and file.suffix != ".json" and (file.parent / "spec.json").is_file():
        raise UsageError(f"{file} is a file of a run, not a run", f"name the run: {file.parent}")


def _refuse_spec(reference: str) -> NoReturn:
    run = newest_run(check_file(reference).spec.name)
    if run is not None:
        raise UsageError(f"{reference} is a spec, not a run", f"export its newest run: zoo export {run.path}")
    remedy = f"train it first: zoo train {reference}; or export fresh weights with --untrained"
    raise UsageError(f"{reference} is a spec, and no run of it is here", remedy)


def newest_run(name: str | None, ended: bool = True) -> Run | None:
    """Return the run in runs/ that began last, of the spec of this name or of all; None where there is none.

    Args:
        name: of the spec.
        ended: look first among those that have their weights, or first among the others.
    """
    runs = [run for run in _runs_here() if name is None or _spec_name(run) == name]
    return max(runs, key=lambda run: (run.weights_file.is_file() == ended, _started(run)), default=None)


def require_whereabouts(spec_file: Path, overrides: Sequence[str]) -> None:
    """Refuse to change of a run what does not say where its rows lie.

    Raises:
        UsageError: an override is of something else.
    """
    movable = [f"data.{option}" for option in _whereabouts(spec_file)] if overrides else []
    for text in overrides:
        if text.partition("=")[0] not in movable:
            allowed = f"only {' and '.join(movable)} may differ on another machine; " if movable else ""
            again = f"zoo train {shlex.quote(str(spec_file))} --set {shlex.quote(text)}"
            weights = shlex.quote(f'init={{"from": "{spec_file.parent}"}}')
            remedy = f"{allowed}train anew: {again}; to begin with its weights, also --set {weights}"
            raise UsageError(f"--set {text}: a run keeps its spec", remedy)


def _whereabouts(spec_file: Path) -> tuple[str, ...]:
    """Return the options of the run's data that say where the rows lie; none where its spec is spoiled."""
    try:
        source = DATA.class_of(json_object(spec_file.read_text(encoding="utf-8")).get("data"))
    except (OSError, ValueError):
        return ()
    return source.whereabouts if source is not None and issubclass(source, Data) else ()


def _runs_here() -> list[Run]:
    return [Run(path.parent) for path in RUNS.glob("[!.]*/spec.json") if (path.parent / "environment.json").is_file()]


def _started(run: Run) -> str:
    try:
        return str(run.environment().get("started", ""))
    except RunError:
        return ""  # a spoiled run is the oldest; named by its path it gets its own error


def _spec_name(run: Run) -> str:
    try:
        return str(json.loads(run.spec_file.read_text(encoding="utf-8"))["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # a spoiled run has no name to be found by; named by its path it gets its own error


def split_run(arguments: Sequence[str]) -> tuple[Run, tuple[str, ...]]:
    """Return the run and the inputs of `[RUN] INPUT…`: the first argument is a run where there is one of that name.

    Raises:
        UsageError: there is no run, or there is no input.
    """
    try:
        run, inputs = find_run(arguments[0]), tuple(arguments[1:])
    except UsageError:
        if len(arguments) > 1 and not _is_input(arguments[0]):
            raise
        run, inputs = find_run(None), tuple(arguments)
    if not inputs:
        raise UsageError("there is nothing to predict", 'give a row such as "1,2,3", or the path of a file')
    return run, inputs


def _is_input(text: str) -> bool:
    return text == "-" or "," in text or Path(text).is_file() or text.lstrip("+-.")[:1].isdigit()
