"""Locating: which bundle a person means, without torch."""

from __future__ import annotations

from pathlib import Path

from exporters.certificate import FILE_NAME
from zoo.errors import UsageError
from zoo.finding import find_run
from zoo.run import Run


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
    folder = run.path / "export"
    if not (folder / FILE_NAME).is_file():
        raise UsageError(f"{run.path} has no export", f"export it first: zoo export {run.path} --onnx --torchscript")
    return folder, run
