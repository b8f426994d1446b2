"""The specs that come with zoo, found by name; from a checkout and from an installed wheel alike."""

from __future__ import annotations

from pathlib import Path

SCHEMA_NAME = "zoo.schema.json"


def specs_folder() -> Path:
    """Return the folder of the zoo's own specs: inside the package in a wheel, beside it in a checkout."""
    packaged = Path(__file__).parent / "specs"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "specs"


def names() -> list[str]:
    """Return the names of the zoo's own specs, sorted."""
    return sorted(path.stem for path in specs_folder().glob("*.json") if path.name != SCHEMA_NAME)


def path_of(name: str) -> Path | None:
    """Return the file of the zoo's own spec of this name, or None."""
    return specs_folder() / f"{name}.json" if name in names() else None
