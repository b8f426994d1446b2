"""The benchmark of a device: its shares are of what the device does at most."""

from __future__ import annotations

import torch
from ceilings import Ceilings, Speed, ceilings


def test_a_share_is_what_a_step_needs_over_what_the_device_does_in_its_time() -> None:
    speed = Speed("work", batch_size=64, seconds=0.5, operations=100, bytes=40, recorded=True)
    assert speed.row(Ceilings(operations=1000.0, bytes=200.0)).split() == ["work", "128", "20.0%", "40.0%", "recorded"]


def test_ceilings_are_measured() -> None:
    most = ceilings(torch.device("cpu"))
    assert most.operations > 1e8
    assert most.bytes > 1e7
