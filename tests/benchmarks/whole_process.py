"""How long `zoo train linear3` takes from start to end, beside the tutorial's script: a row of training.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from zoo.check import check_file

REPOSITORY = Path(__file__).parent.parent.parent

TUTORIAL = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
inputs = torch.randint(1, 50, (100, 3)).float()
targets = inputs @ torch.tensor([[1.3], [2.9], [3.7]])
loader = DataLoader(TensorDataset(inputs, targets), batch_size=1)
model = nn.Linear(3, 1)
criterion = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.00016666)
for epoch in range({epochs}):
    for x, y in loader:
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 100 == 0:
        print(epoch, loss.item())
"""
OURS = "import sys, cli; sys.argv = ['zoo', 'train', 'linear3', '--out', 'run', '--overwrite']; cli.main()"
LEAST = 4.0


def row(rounds: int = 3) -> tuple[str, bool]:
    """Return the line of the table, and whether ours is not fast enough."""
    epochs = check_file("linear3").spec.train.epochs
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    times: tuple[list[float], list[float]] = ([], [])
    with TemporaryDirectory() as here:
        for _ in range(rounds):
            for taken, program in zip(times, (TUTORIAL.format(epochs=epochs), OURS), strict=True):
                begun = perf_counter()
                command = [sys.executable, "-c", program]
                subprocess.run(command, cwd=here, env=environment, check=True, capture_output=True)
                taken.append(perf_counter() - begun)
    plain, ours = map(median, times)
    shown = f"{'zoo train linear3, whole process':42} {'':7} {plain / ours:7.2f} {LEAST:6.2f} {ours:8.2f} s"
    return shown, plain / ours < LEAST
