"""Progress: which epochs a piped log shows."""

from __future__ import annotations

import pytest

from zoo.progress import TrainingProgress


@pytest.mark.parametrize(("epochs", "shown"), [(1, [1]), (20, list(range(1, 21))), (40, [1, *range(2, 41, 2)])])
def test_few_epochs_are_shown_and_always_the_first_and_the_last(
    epochs: int, shown: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    with TrainingProgress(epochs) as progress:
        for epoch in range(1, epochs + 1):
            progress.on_epoch({"epoch": epoch, "lr": 0.1, "train_loss": 0.5})
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("epoch ")]
    assert lines == [f"epoch {epoch}/{epochs}  train_loss 0.5" for epoch in shown]
