"""What the tests of reports share: a strict reader of pages, and runs to report."""

from __future__ import annotations

from html.parser import HTMLParser

from conftest import Document, linear
from zoo.check import check_file
from zoo.destination import Destination
from zoo.progress import TrainingProgress
from zoo.run import Run
from zoo.trainer import train_run

VOID = {"meta", "br", "img", "link", "input"}


class Reader(HTMLParser):
    """Reads a page; every element must be closed where it was opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data


def images(**changes: object) -> Document:
    """A spec that classifies small images of noise, badly."""
    return linear(
        name="noise",
        data={
            "type": "FakeImages",
            "size": 24,
            "image_size": [3, 8, 8],
            "num_classes": 3,
            "transforms": [
                {"type": "ToDtype", "dtype": "float32", "scale": True},
                {"type": "Normalize", "mean": [0.4], "std": [0.2]},
            ],
        },
        model={"layers": [{"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}]},
        loss={"type": "CrossEntropyLoss"},
        metrics=[{"type": "Accuracy"}],
        **changes,
    )


def trained(name: str) -> Run:
    """The run of a spec in the current folder."""
    checked = check_file(name)
    return train_run(checked, "cpu", Destination(), TrainingProgress())
