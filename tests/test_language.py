"""The guide to the language: each of its examples is a spec without problems."""

from __future__ import annotations

import json
import math
import re
from itertools import product
from pathlib import Path

import pytest
from PIL import Image

from conftest import REPOSITORY, linear
from zoo.build import build_optimizer, fresh_model, load_rows
from zoo.check import check
from zoo.choice import Choice
from zoo.data import DATA
from zoo.inheritance import read_spec
from zoo.initializers import INITIALIZERS
from zoo.layers import LAYERS
from zoo.losses import LOSSES
from zoo.metrics import METRICS
from zoo.optimizers import OPTIMIZERS
from zoo.schedulers import SCHEDULERS
from zoo.searched import check_searched
from zoo.transforms import AUGMENTATIONS, TRANSFORMS

GUIDE = (REPOSITORY / "specs" / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```json\n(.*?)```$", GUIDE, re.MULTILINE | re.DOTALL)


def test_the_guide_has_examples() -> None:
    assert len(EXAMPLES) >= 8


@pytest.fixture
def files(here: Path) -> Path:
    """The files that the guide speaks of, in the folder where the command runs."""
    rows = "\n".join(f"{row}.5,{1 + row % 3},{'red' if row % 2 else 'blue'},{SPECIES[row % 2]}" for row in range(20))
    (here / "data").mkdir()
    (here / "data" / "flowers.csv").write_text(f"length,width,colour,species\n{rows}\n")
    for split, name in product(("train", "val", "test"), ("cat", "dog")):
        folder = here / "data" / "pets" / split / name
        folder.mkdir(parents=True)
        Image.new("RGB", (40, 50), "white").save(folder / "1.jpg")
    return here


SPECIES = ("rose", "tulip")


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_is_checked_and_built(text: str, files: Path) -> None:
    fragment = json.loads("{" + text + "}")
    base = {} if "extends" in fragment else linear(data__weights=[1.0, 2.0, 3.0])
    file = files / "example.json"
    file.write_text(json.dumps(base | fragment))
    for point in check_searched(read_spec(str(file))).points:
        answer = fresh_model(point)(load_rows(point, "test").inputs[:3])
        assert answer.shape[1:] == point.output.concrete(1)[1:]


def test_the_warm_up_of_the_guide_rises_in_a_line_and_falls_along_a_cosine(tmp_path: Path) -> None:
    (text,) = [text for text in EXAMPLES if "SequentialLR" in text]
    file = tmp_path / "example.json"
    file.write_text(json.dumps(linear() | json.loads("{" + text + "}")))
    checked = check(read_spec(str(file)))
    optimizer, scheduler = build_optimizer(checked, fresh_model(checked).named_parameters(), 20)
    assert scheduler is not None
    rates = []
    for _ in range(18):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    falling = [0.01 * (1 + math.cos(math.pi * step / 14)) / 2 for step in range(14)]
    assert rates == pytest.approx([0.0025, 0.004375, 0.00625, 0.008125, *falling])


def test_every_key_of_a_spec_is_explained() -> None:
    from zoo.spec import Spec

    keys = {field.alias or name for name, field in Spec.model_fields.items()} - {"$schema"}
    assert [key for key in sorted(keys) if f"`{key}`" not in GUIDE] == []


@pytest.mark.parametrize(
    ("title", "choice"),
    [
        ("Layers", LAYERS),
        ("Data", DATA),
        ("Transforms", TRANSFORMS),
        ("Augmentation", AUGMENTATIONS),
        ("Losses", LOSSES),
        ("Metrics", METRICS),
        ("Optimizers", OPTIMIZERS),
        ("Schedulers", SCHEDULERS),
        ("Initializers", INITIALIZERS),
    ],
)
def test_all_words_are_listed(title: str, choice: Choice) -> None:
    listed = GUIDE.split(f"\n{title}: ")[1].split(".\n")[0].replace("\n", " ").split(", ")
    fixed = TRANSFORMS.names if title == "Augmentation" else ()
    assert listed == [name for name in choice.names if name not in fixed]
