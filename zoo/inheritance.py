"""Inheritance: a spec that `extends` another takes over what it does not say itself.

Objects are merged key by key, everything else is replaced; so is an object that says another `type`, and a search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo.errors import Problem, SpecError, UsageError
from zoo.override import echo
from zoo.source import Source, find_spec, override, read_source

KEY = "extends"
LONGEST_CHAIN = 20  # specs that extend one another


def read_spec(reference: str, overrides: Sequence[str] = ()) -> Source:
    """Return the spec that `reference` names, with all that it extends, and then with the overrides.

    Raises:
        UsageError: no such spec, or it cannot be read; or an override does not fit.
        SpecError: a text is not a JSON object, or a spec extends what is not there, or itself.
    """
    said = [text for text in overrides if text.partition("=")[0].split(".")[0] == KEY]
    if said:
        raise UsageError(f"--set {said[0]}: a spec says itself what it extends", f'write "{KEY}" into the spec')
    return override(_extended(read_source(reference), ()), overrides)


def _extended(source: Source, above: tuple[Path, ...]) -> Source:
    """Return the document merged into what it extends; `above` are the files that extend it."""
    if KEY not in source.value:
        return source
    base_name = source.value[KEY]
    if not isinstance(base_name, str) or not base_name:
        raise _refusal(source, f"{KEY} is no string", "write the path of a spec, beside this one, or a name of the zoo")
    here = Path(source.origin)
    beside = here.parent / base_name
    try:
        file = beside if beside.is_file() else find_spec(base_name)
        _require_spec_name(file)
        base = read_source(str(file))
    except SpecError as error:  # no spec: what a spec extends is not there to be shown
        raise SpecError(tuple(map(_without_text, error.problems))) from error
    except (UsageError, ValueError, OSError) as error:
        absent = UsageError(f"no such spec: {echo(base_name)}", "write the path of a spec, beside this one")
        told = error if isinstance(error, UsageError) else absent
        raise _refusal(source, f"{KEY}: {told.message}", told.remedy) from error
    chain = (*above, here.resolve())
    if file.resolve() in chain or len(chain) >= LONGEST_CHAIN:
        raise _refusal(source, f"the spec extends itself through {base_name}", "extend another spec")
    base = _extended(base, chain)
    own = {key: value for key, value in source.value.items() if key != KEY}
    return replace(source, value=_merged(base.value, own), base=base)


def _require_spec_name(file: Path) -> None:
    """Refuse a file that is named otherwise than a spec, before anything of it is read.

    Raises:
        UsageError: its name does not end in .json.
    """
    if file.suffix.lower() != ".json":
        raise UsageError(f"{echo(str(file))} is no .json file", "write the path of a spec, beside this one")


def _without_text(problem: Problem) -> Problem:
    return replace(problem, place=replace(problem.place, text=""))


def _refusal(source: Source, message: str, remedy: str) -> SpecError:
    return SpecError((source.problem((KEY,), message, remedy),))


# Any: JSON values.
def _merged(base: Any, own: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(own, dict)):
        return own
    if isinstance(base.get("search"), str) or isinstance(own.get("search"), str):
        return own
    if "type" in own and own["type"] != base.get("type", own["type"]):
        return own
    return {**base, **{key: _merged(base[key], value) if key in base else value for key, value in own.items()}}
