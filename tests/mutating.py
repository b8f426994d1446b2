"""Mutations of specs: keys, types, values, nesting and text, drawn from a seeded generator."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from zoo.layers import LAYERS
from zoo.losses import LOSSES
from zoo.optimizers import OPTIMIZERS
from zoo.schedulers import SCHEDULERS

# Any, in this file: JSON values.
Path = tuple[str | int, ...]

NAMES = [name for choice in (LAYERS, LOSSES, OPTIMIZERS, SCHEDULERS) for name in choice.names]
OPTIONS = [
    *("type", "id", "from", "layers", "shortcut", "branches", "join", "dim", "times"),
    *("name", "tie", "kernel_size", "stride", "padding", "out_features", "p", "inplace", "bias"),
    *("match", "lr", "groups", "freeze", "init", "extends", "blocks", "defaults", "data"),
    *("model", "train", "loss", "weight", "dims", "shape", "index"),
]
NUMBERS: list[Any] = [
    0,
    -1,
    1,
    2,
    3,
    7,
    1000,
    10_000,
    2**31 - 1,
    2**31,
    2**63,
    -(2**63),
    10**39,
    0.5,
    -0.0,
    2.0,
    1e-320,
    1e30,
    1e308,
]
STRINGS = [
    *(
        "",
        "a",
        "input",
        "classes",
        "vocabulary",
        "context",
        "same",
        "$width",
        "$",
        "*",
        "!*",
        "[",
        "[!",
        "*a" * 120,
        "é",
        "\x00",
    ),
    *("../../etc/passwd", "/etc/passwd", "/dev/zero", "/dev/stdin", "/proc/kmsg", ".", "/", "~", "file:///etc/passwd"),
    *("__import__('os').system('true')", "x" * 5000, "0.weight", "a" * 64, "forward", "lambda", "\u202e", "１"),
]


def value(random: Random, depth: int = 0) -> Any:
    """A JSON value of any kind."""
    kind = random.randrange(8 if depth < 3 else 5)
    if kind == 0:
        return random.choice([None, True, False])
    if kind in (1, 2):
        return random.choice(NUMBERS)
    if kind == 3:
        return random.choice(STRINGS)
    if kind == 4:
        return random.choice(NAMES)
    if kind == 5:
        return [value(random, depth + 1) for _ in range(random.randrange(4))]
    if kind == 6:
        return {random.choice(OPTIONS): value(random, depth + 1) for _ in range(random.randrange(4))}
    return {"type": random.choice(NAMES), random.choice(OPTIONS): value(random, depth + 1)}


def paths(document: Any, path: Path = ()) -> list[Path]:
    """Where every value of a document stands."""
    keys: list[Any] = list(document) if isinstance(document, dict) else []
    keys = list(range(len(document))) if isinstance(document, list) else keys
    return [path, *(below for key in keys for below in paths(document[key], (*path, key)))]


def at(document: Any, path: Path) -> Any:
    """The value at a path."""
    for key in path:
        document = document[key]
    return document


def mutate(document: dict[str, Any], random: Random) -> dict[str, Any]:
    """The document with one to four of its values changed, moved, nested or gone."""
    document = json.loads(json.dumps(document))
    for _ in range(random.choice([1, 1, 1, 2, 2, 3, 4])):
        places = [path for path in paths(document) if path]
        if places:
            _change(document, random.choice(places), random)
    return document


def _change(document: dict[str, Any], path: Path, random: Random) -> None:
    owner, key = at(document, path[:-1]), path[-1]
    here = owner[key]
    kind = random.randrange(12)
    if kind == 0:
        del owner[key]
    elif kind == 1 and isinstance(key, str):
        owner[random.choice([key[:-1], key + "s", key.upper(), key[::-1], random.choice(OPTIONS)])] = owner.pop(key)
    elif kind == 2 and isinstance(owner, list):
        owner.insert(random.randrange(len(owner) + 1), json.loads(json.dumps(random.choice(owner))))
    elif kind == 3 and isinstance(owner, list):
        random.shuffle(owner)
    elif kind == 4:
        owner[key] = [here]
    elif kind == 5:
        owner[key] = json.loads(json.dumps(at(document, random.choice(paths(document)))))
    elif kind == 6 and isinstance(here, dict):
        here[random.choice(OPTIONS)] = value(random)
    elif kind == 7 and isinstance(here, dict):
        here["type"] = random.choice(NAMES)
    elif kind == 8 and isinstance(here, list):
        owner[key] = here * random.choice([0, 2, 3, 20])
    elif kind == 9:
        owner[key] = _nested(here, random)
    elif kind == 10 and isinstance(here, int | float) and not isinstance(here, bool):
        owner[key] = random.choice([here + 1, here - 1, -here, here * 10, here / 2, float(here), str(here)])
    else:
        owner[key] = value(random)


def _nested(here: Any, random: Random) -> Any:
    """A value inside composites, or inside lists, at some depth."""
    for _ in range(random.choice([1, 2, 5, 40])):
        kind = random.randrange(4)
        times = random.choice([1, 2, 10_000])
        layers = here if isinstance(here, list) else [here]
        here = (
            [here]
            if kind == 0
            else {"type": "Repeat", "times": times, "layers": layers}
            if kind == 1
            else {"type": "Residual", "layers": layers}
            if kind == 2
            else {"type": "Parallel", "branches": [layers, layers], "join": "add"}
        )
        if len(json.dumps(here)) > 100_000:
            return here
    return here


def garble(text: str, random: Random) -> bytes:
    """The text of a spec with its letters changed: what no editor, or only a bad one, writes."""
    kind = random.randrange(9)
    raw = text.encode()
    start = random.randrange(len(raw))
    end = min(len(raw), start + random.choice([1, 2, 10, 100]))
    if kind == 0:
        return raw[:start] + raw[end:]
    if kind == 1:
        return raw[:start]
    if kind == 2:
        return raw[:start] + random.randbytes(random.choice([1, 4])) + raw[start:]
    if kind == 3:
        return raw[:start] + raw[start:end] * random.choice([2, 50]) + raw[end:]
    if kind == 4:
        return b"\xef\xbb\xbf" + raw
    if kind == 5:
        token = random.choice(
            ["NaN", "Infinity", "-Infinity", "1e999", "1" * 5000, "[" * 5000, '{"a":' * 300, "null", "'", "//"]
        )
        return raw[:start] + token.encode() + raw[start:]
    if kind == 6:
        key = random.choice(OPTIONS)
        return text.replace("{", f'{{"{key}": 1, "{key}": 2, ', 1).encode()
    if kind == 7:
        return text.encode(random.choice(["utf-16", "utf-32", "latin-1"]), errors="replace")
    return text.replace('"', random.choice(["'", "“", '\\"', '"\\ud800']), random.choice([1, 3])).encode()
