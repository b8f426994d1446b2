"""SARIF 2.1.0: the problems of specs in the form that code hosts and editors show beside the text.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from zoo import __version__
from zoo.errors import Place, Problem, UsageError

Json = dict[str, object]

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

_RULES = {
    "spec-syntax": "The text of a spec is one JSON object.",
    "spec-option": "Every option of a spec is known, has its type and stays within its bounds.",
    "spec-shape": "Every layer takes what the layer above gives.",
    "spec-override": "Every --set fits the spec.",
}


def sarif(problems: Sequence[Problem], absent: Sequence[UsageError] = ()) -> Json:
    """Return the SARIF log of one check.

    Args:
        problems: what is wrong with the specs that were read.
        absent: what could not be read; a notification of the tool, because there is no text to show.
    """
    rules = [{"id": rule, "shortDescription": {"text": text}} for rule, text in _RULES.items()]
    driver: Json = {"name": "zoo check", "semanticVersion": __version__, "rules": rules}
    run: Json = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not absent,
                "toolExecutionNotifications": [{"level": "error", "message": _message(error)} for error in absent],
            }
        ],
        "results": [_result(problem) for problem in problems],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(problem: Problem) -> Json:
    rule = _rule(problem)
    result: Json = {
        "ruleId": rule,
        "ruleIndex": list(_RULES).index(rule),
        "level": "error",
        "message": _message(problem),
        "partialFingerprints": {"path/v1": ".".join(map(str, problem.path)) + " " + problem.message},
    }
    location = _location(problem.place, problem)
    return result | ({"locations": [location]} if location else {})


def _message(said: Problem | UsageError) -> Json:
    return {"text": f"{said.message[:1].upper()}{said.message[1:]}.\nRemedy: {said.remedy}."}


def _rule(problem: Problem) -> str:
    if problem.place.origin.startswith("--set "):
        return "spec-override"
    if not problem.path:
        return "spec-syntax"
    return "spec-shape" if ", but " in problem.message and "gives" in problem.message else "spec-option"


def _location(place: Place, problem: Problem) -> Json:
    """Return where the problem stands; an override has no place in a file."""
    if place.origin.startswith("--set "):
        return {}
    physical: Json = {"artifactLocation": {"uri": _uri(place.origin)}}
    if place.line:
        physical["region"] = {
            "startLine": place.line,
            "startColumn": place.column,
            "endColumn": place.column + place.width,
            "snippet": {"text": place.text[place.column - 1 : place.column - 1 + place.width]},
        }
    location: Json = {"physicalLocation": physical}
    name = ".".join(map(str, problem.path))
    return location | ({"logicalLocations": [{"fullyQualifiedName": name}]} if name else {})


def _uri(origin: str) -> str:
    """Return the path as a URI: relative to the current folder where it lies below, as code hosts expect it."""
    path = Path(os.path.abspath(origin))
    here = Path.cwd()
    return quote(path.relative_to(here).as_posix()) if path.is_relative_to(here) else path.as_uri()
