"""Splits: which of them are held in memory, and which stream because they would not fit."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import torch

from zoo.build import chain, fixed_transforms, load_rows
from zoo.check import CheckedSpec
from zoo.data import Rows, Split
from zoo.data.stored import MEBIBYTE, Stored, Streamable
from zoo.device import fitting, free_memory
from zoo.errors import DataError
from zoo.training.streaming import Reader, Stream, default_workers

log = logging.getLogger(__name__)

MOST_READ = 2**28  # bytes of a split that does not fit, where some of its rows will do
SHARE = 4  # of the free memory, rows may take 1 / SHARE by default


def open_splits(checked: CheckedSpec, device: torch.device, wanted: Iterable[Split]) -> dict[Split, Rows | Stream]:
    """Return splits as the model is given them: in memory on the device what fits, the rest as streams.

    Args:
        checked: the spec.
        device: of the model.
        wanted: in the order in which they may take memory.

    Raises:
        DataError: the data is absent, incomplete or unreadable, or neither fits nor can stream.
    """
    data = checked.spec.data
    for note in data.notes():
        log.info(note)
    if not isinstance(data, Streamable):
        _require_room(checked, device)
        return {split: _held(checked, split, device) for split in wanted}
    budget = free_memory(device) // SHARE if data.memory is None else data.memory * MEBIBYTE
    splits: dict[Split, Rows | Stream] = {}
    for split in wanted:
        stored = data.stored(split)
        size = 0 if stored is None else resident_size(checked, split, stored)
        if stored is None or size <= budget:
            rows = _held(checked, split, device)
            size = rows.nbytes if stored is None else size
            if stored is None and data.memory is not None and size > budget:
                raise _too_large(split, size)
            splits[split], budget = rows, budget - size
            continue
        stream = _stream(checked, data, split, stored, device)
        splits[split] = stream
        left = "free for it" if data.memory is None else "left of data.memory"
        readers = f"{stream.workers} worker(s)" if stream.workers else "the training itself"
        sizes = f"its rows take {_mebibytes(size)} MiB, and {_mebibytes(budget)} MiB are {left}"
        log.info("the %s split streams, read by %s: %s", split, readers, sizes)
    return splits


def some_rows(checked: CheckedSpec, split: Split) -> Rows:
    """Return a split in memory; where it does not fit, as many of its rows as do, evenly spread.

    Raises:
        DataError: the data is absent, incomplete or unreadable.
    """
    found = open_splits(checked, torch.device("cpu"), [split])[split]
    if isinstance(found, Rows):
        return found
    size = resident_size(checked, split, found.reader.stored)
    count = max(1, min(len(found), len(found) * MOST_READ // max(1, size)))
    batches = list(found.batches([len(found) * index // count for index in range(count)], 1))
    return Rows(*(torch.cat(parts) for parts in zip(*batches, strict=True)))


def _require_room(checked: CheckedSpec, device: torch.device) -> None:
    """Refuse rows that cannot stream and would not fit, before the machine is out of memory.

    Raises:
        DataError: the training split, behind its transforms, takes more than what is free.
    """
    rows, data = checked.example.training_rows or 0, checked.spec.data
    size = rows * checked.input.row_size * getattr(torch, checked.input.dtype).itemsize
    free = free_memory(device)
    if size > free:
        sizes = f"takes {_mebibytes(size)} MiB, and {_mebibytes(free)} MiB are free"
        message = f"the train split {sizes}; {type(data).__name__} cannot stream"
        raise DataError(message, "use fewer or smaller rows")


def _too_large(split: Split, size: int) -> DataError:
    sizes = f"takes {_mebibytes(size)} MiB, more than data.memory leaves"
    message = f"the {split} split {sizes}, and can only be read whole"
    return DataError(message, "write its file anew with numpy.savez, which packs nothing; or give more data.memory")


def target_rows(checked: CheckedSpec, split: Split) -> torch.Tensor:
    """Return the targets of a split; inputs that can be left where they lie are.

    Raises:
        DataError: the data is absent, incomplete or unreadable.
    """
    data = checked.spec.data
    stored = data.stored(split) if isinstance(data, Streamable) else None
    return data.load(split).targets if stored is None else stored.targets


def resident_size(checked: CheckedSpec, split: Split, stored: Stored) -> int:
    """Return how many bytes a split takes in memory; its first row tells.

    Raises:
        DataError: that row is damaged.
    """
    first = stored.read(range(1), 1)
    changed = chain(fixed_transforms(checked, split))(first.inputs)
    return stored.resident(changed.nbytes + (0 if checked.spec.data.mirrors else first.targets.nbytes))


def _held(checked: CheckedSpec, split: Split, device: torch.device) -> Rows:
    with fitting(f"the {split} split", "use fewer rows"):
        return load_rows(checked, split).to(device)


def _stream(checked: CheckedSpec, data: Streamable, split: Split, stored: Stored, device: torch.device) -> Stream:
    workers = default_workers(data.laborious) if data.workers is None else data.workers
    random = tuple(transform for transform in data.random() if transform.level != "batch") if split == "train" else ()
    reader = Reader(stored, data.early(), random, 1 if workers else None)
    return Stream(reader, data.late(), device, workers, data.mirrors)


def _mebibytes(size: int) -> str:
    return f"{size / MEBIBYTE:,.1f}"
