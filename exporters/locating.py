"""Locating: which bundle a person means, and what they want to export, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from exporters.certificate import FILE_NAME
from zoo.check import CheckedSpec, check_file
from zoo.errors import UsageError
from zoo.finding import find_run, find_trained, newest_run
from zoo.run import Run

Source = Run | CheckedSpec
"""What is exported: a run, or a spec whose weights are fresh."""


def find_source(reference: str | None, overrides: Sequence[str], untrained: bool) -> Source:
    """Return what a person asks to export.

    Raises:
        UsageError: there is no such run or spec, or a spec is named where a run is meant.
    """
    if not untrained:
        return find_trained(reference, overrides)
    if reference is None:
        raise UsageError("--untrained needs a SPEC", "write for example: zoo export linear3 --untrained")
    return check_file(reference, overrides)


def usual_place(source: Source) -> Path:
    """Return where the bundle goes unless a person says otherwise."""
    return source.path / "export" if isinstance(source, Run) else Path("export") / source.spec.name


def find_bundle(reference: str | None) -> tuple[Path, Run | None]:
    """Return the bundle that is meant, and the run it stands in, where it stands in one.

    Args:
        reference: a bundle, or a run with one; by default the newest run.

    Raises:
        UsageError: there is none.
    """
    folder = Path(reference or "")
    if reference is not None and (folder / FILE_NAME).is_file():
        above = Run(folder.resolve().parent)
        return folder, above if above.spec_file.is_file() and above.weights_file.is_file() else None
    try:
        run = find_run(reference)
    except UsageError as error:
        if reference is None:
            raise
        raise UsageError(f"{reference} is neither a bundle nor a run", error.remedy) from error
    folder = usual_place(run)
    if not (folder / FILE_NAME).is_file():
        raise UsageError(f"{run.path} has no export", f"export it first: zoo export {run.path} --onnx --torchscript")
    return folder, run


def require_bundle(folder: Path) -> None:
    """Refuse what is no folder, and a run, whose bundle stands inside it.

    Raises:
        UsageError: it is one of these.
    """
    run = Run(folder) if (folder / "spec.json").is_file() else None
    if run is None and not folder.exists():
        run = newest_run(str(folder))
    if run is not None and not (folder / FILE_NAME).exists():
        export = run.path / "export"
        remedy = f"zoo verify {export}" if (export / FILE_NAME).is_file() else f"export it first: zoo export {run.path}"
        raise UsageError(f"{folder} is a run, not a bundle", remedy)
    if not folder.is_dir():
        whole = (folder.parent / FILE_NAME).is_file() and folder.is_file()
        remedy = f"zoo verify {folder.parent}" if whole else "name a bundle: the folder that zoo export wrote"
        raise UsageError(f"{folder} is no directory", remedy)
