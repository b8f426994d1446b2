"""SARIF: the log is what the standard demands, and says what the text says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from conftest import Outcome, linear
from zoo.sarif import sarif
from zoo.survey import survey

Write = Callable[..., str]
Zoo = Callable[..., Outcome]

# The parts of the standard's own schema that a log of problems touches, with its required members and types.
STANDARD: dict[str, Any] = {
    "type": "object",
    "required": ["version", "runs"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/run"}},
    },
    "$defs": {
        "message": {
            "type": "object",
            "required": ["text"],
            "additionalProperties": False,
            "properties": {"text": {"type": "string", "minLength": 1}},
        },
        "run": {
            "type": "object",
            "required": ["tool", "results"],
            "additionalProperties": False,
            "properties": {
                "tool": {
                    "type": "object",
                    "required": ["driver"],
                    "additionalProperties": False,
                    "properties": {"driver": {"$ref": "#/$defs/driver"}},
                },
                "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                "invocations": {"type": "array", "items": {"$ref": "#/$defs/invocation"}},
                "results": {"type": "array", "items": {"$ref": "#/$defs/result"}},
            },
        },
        "driver": {
            "type": "object",
            "required": ["name"],
            "additionalProperties": False,
            "properties": {
                "name": {"type": "string"},
                "semanticVersion": {"type": "string", "pattern": r"^\d+\.\d+\.\d+"},
                "rules": {
                    "type": "array",
                    "uniqueItems": True,
                    "items": {
                        "type": "object",
                        "required": ["id"],
                        "additionalProperties": False,
                        "properties": {"id": {"type": "string"}, "shortDescription": {"$ref": "#/$defs/message"}},
                    },
                },
            },
        },
        "invocation": {
            "type": "object",
            "required": ["executionSuccessful"],
            "additionalProperties": False,
            "properties": {
                "executionSuccessful": {"type": "boolean"},
                "toolExecutionNotifications": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["message"],
                        "additionalProperties": False,
                        "properties": {
                            "message": {"$ref": "#/$defs/message"},
                            "level": {"enum": ["none", "note", "warning", "error"]},
                        },
                    },
                },
            },
        },
        "result": {
            "type": "object",
            "required": ["message"],
            "additionalProperties": False,
            "properties": {
                "ruleId": {"type": "string"},
                "ruleIndex": {"type": "integer", "minimum": -1},
                "level": {"enum": ["none", "note", "warning", "error"]},
                "message": {"$ref": "#/$defs/message"},
                "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
                "locations": {"type": "array", "items": {"$ref": "#/$defs/location"}},
            },
        },
        "location": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "physicalLocation": {
                    "type": "object",
                    "required": ["artifactLocation"],
                    "additionalProperties": False,
                    "properties": {
                        "artifactLocation": {
                            "type": "object",
                            "required": ["uri"],
                            "additionalProperties": False,
                            "properties": {"uri": {"type": "string", "pattern": r"^[^ \\]+$"}},
                        },
                        "region": {
                            "type": "object",
                            "required": ["startLine"],
                            "additionalProperties": False,
                            "properties": {
                                "startLine": {"type": "integer", "minimum": 1},
                                "startColumn": {"type": "integer", "minimum": 1},
                                "endColumn": {"type": "integer", "minimum": 1},
                                "snippet": {"type": "object", "properties": {"text": {"type": "string"}}},
                            },
                        },
                    },
                },
                "logicalLocations": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"fullyQualifiedName": {"type": "string"}}},
                },
            },
        },
    },
}


def log_of(*named: str, overrides: tuple[str, ...] = ()) -> Any:
    found = survey(named, overrides)
    return json.loads(json.dumps(sarif(found.problems, found.absent)))


@pytest.fixture
def log(here: Path, write: Write) -> Any:
    write("[1]", "no object.json")
    write("{", "cut.json")
    wrong = [{"type": "Linear", "out_features": 3}, {"type": "Linear", "in_features": 4, "out_features": 1}]
    write(linear(model__layers=wrong), "shapes.json")
    write(linear(train__epochs=0), "spec.json")
    return log_of(".", "absent.json")


def test_a_log_is_of_the_standards_form(log: Any) -> None:
    from jsonschema import Draft202012Validator

    Draft202012Validator(STANDARD).validate(log)
    assert len(log["runs"][0]["results"]) == 4


def test_every_result_names_a_rule_of_the_driver_by_its_index(log: Any) -> None:
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(set(rules)) == len(rules)
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
    named = {_file(result): result["ruleId"] for result in run["results"]}
    assert named == {
        "cut.json": "spec-syntax",
        "no object.json": "spec-syntax",
        "shapes.json": "spec-shape",
        "spec.json": "spec-option",
    }


def _file(result: Any) -> str:
    return unquote(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])


def test_a_region_is_the_stretch_that_the_text_underlines(here: Path, write: Write) -> None:
    text = (here / write(linear(train__epochs=0))).read_text()
    (result,) = log_of("spec.json")["runs"][0]["results"]
    region = result["locations"][0]["physicalLocation"]["region"]
    line = text.splitlines()[region["startLine"] - 1]
    assert line[region["startColumn"] - 1 : region["endColumn"] - 1] == '"epochs": 0' == region["snippet"]["text"]
    assert result["locations"][0]["logicalLocations"] == [{"fullyQualifiedName": "train.epochs"}]


def test_the_message_has_the_remedy(here: Path, write: Write) -> None:
    write(linear(train__epochs=0))
    (result,) = log_of("spec.json")["runs"][0]["results"]
    assert result["message"]["text"] == "Train.epochs is 0.\nRemedy: write a number 1 or more."


def test_a_path_below_the_current_folder_is_relative_and_escaped(log: Any) -> None:
    uris = {
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in log["runs"][0]["results"]
    }
    assert "no%20object.json" in uris
    assert "shapes.json" in uris


def test_a_path_elsewhere_is_a_file_uri(tmp_path_factory: pytest.TempPathFactory, here: Path) -> None:
    elsewhere = tmp_path_factory.mktemp("else where") / "spec.json"
    elsewhere.write_text("[]")
    (result,) = log_of(str(elsewhere))["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == elsewhere.as_uri()


def test_an_override_has_no_place_in_a_file(here: Path, write: Write) -> None:
    write(linear())
    (result,) = log_of("spec.json", overrides=("train.epochs=0",))["runs"][0]["results"]
    assert result["ruleId"] == "spec-override"
    assert "locations" not in result


def test_what_cannot_be_read_is_a_notification(log: Any) -> None:
    (invocation,) = log["runs"][0]["invocations"]
    assert invocation["executionSuccessful"] is False
    (notification,) = invocation["toolExecutionNotifications"]
    assert notification["message"]["text"].startswith("No such spec: absent.json.\nRemedy: ")


def test_the_command_prints_the_log_alone(zoo: Zoo, here: Path, write: Write) -> None:
    write(linear(train__epochs=0))
    done = zoo("check", "spec.json", "--format", "sarif")
    assert done.status == 2
    assert json.loads(done.out)["version"] == "2.1.0"
    assert json.loads(zoo("check", "linear3", "--format", "sarif").out)["runs"][0]["results"] == []
