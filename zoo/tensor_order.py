"""In what order the tensors of a file stood in their state dict, where the file, like safetensors, sorted them by name.

The names are a tree of modules. Siblings that differ in a number alone keep its order; between others every order is
tried, that of their names first, until the modules of the file follow one another as those of the model do: the same
names and sizes of tensors in each. Siblings of other names that could be exchanged, such as q, k and v, have no order.
Where no order fits, tensors whose sizes no other has are left aside: they are found wherever they stand.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

Kind = tuple[tuple[int, ...], str]
"""Sizes and dtype of a tensor."""
Signature = tuple[tuple[str, Kind], ...]
"""What tells modules apart: the last part of each tensor's name, and its kind, sorted."""

COUNTER = "num_batches_tracked"
"""The last part of the names of BatchNorm's counters, which older files do not have."""


@dataclass(eq=False)
class _Module:
    """A module in the tree of names; its tensors by the last part of their names."""

    tensors: dict[str, str] = field(default_factory=dict)
    signature: Signature = ()
    children: dict[str, _Module] = field(default_factory=dict)

    def queues(self) -> list[list[_Module]]:
        """Return the children by what their names are without numbers, each in the order of its numbers.

        Those with numbers come first: "conv3" goes on with what "conv1" began, "downsample" stands aside.
        """
        stems: dict[str, list[str]] = {}
        for name in sorted(self.children):
            stems.setdefault(re.sub(r"\d+", "", name), []).append(name)
        ordered = sorted(stems.items(), key=lambda item: (item[0] in item[1], item[0]))
        return [[self.children[name] for name in sorted(names, key=_numbers)] for _, names in ordered]


def restored(theirs: Mapping[str, Kind], ours: Mapping[str, Kind]) -> list[str] | None:
    """Return the names of a file in the order of its state dict; None where it cannot be told.

    Args:
        theirs: the tensors of the file, in any order.
        ours: the tensors of the model, in the order of its state dict; as many of each kind.
    """
    single = frozenset(kind for kind, count in Counter(ours.values()).items() if count == 1)
    return _restored(theirs, ours, frozenset()) or _restored(theirs, ours, single)


def _restored(theirs: Mapping[str, Kind], ours: Mapping[str, Kind], aside: frozenset[Kind]) -> list[str] | None:
    model = [module for module in _flat(_tree(ours, aside)) if module.signature]
    tree = _tree(theirs, aside)
    order = _Search([module.signature for module in model]).fit(tree, 0)
    if order is None or len(order) != len(model):
        return None
    names = [
        module.tensors[leaf]
        for module, like in zip(order, model, strict=True)
        for leaf in (*like.tensors, COUNTER)
        if leaf in module.tensors
    ]
    return list(dict.fromkeys((*names, *theirs)))


def _tree(kinds: Mapping[str, Kind], aside: frozenset[Kind]) -> _Module:
    """Return the root of the tree of names; counters and tensors of the kinds left aside take no part in signatures."""
    root = _Module()
    modules: dict[int, tuple[_Module, dict[str, Kind]]] = {}
    for name, kind in kinds.items():
        *path, leaf = name.split(".")
        module = root
        for part in path:
            module = module.children.setdefault(part, _Module())
        module.tensors[leaf] = name
        if leaf != COUNTER and kind not in aside:
            modules.setdefault(id(module), (module, {}))[1][leaf] = kind
    for module, told in modules.values():
        module.signature = tuple(sorted(told.items()))
    return root


def _flat(module: _Module) -> list[_Module]:
    return [module, *(below for child in module.children.values() for below in _flat(child))]


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", name)))


class _Search:
    """Looks for an order of a tree's modules whose signatures are the wanted ones."""

    def __init__(self, wanted: list[Signature]) -> None:
        self.wanted = wanted
        self._found: dict[tuple[int, int], list[_Module] | None] = {}

    def fit(self, module: _Module, start: int) -> list[_Module] | None:
        """Return the order of the modules from here down that fits at a position; None where none does."""
        key = (id(module), start)
        if key not in self._found:
            self._found[key] = self._fit(module, start)
        return self._found[key]

    def _fit(self, module: _Module, start: int) -> list[_Module] | None:
        order = []
        if module.signature:
            if self.wanted[start : start + 1] != [module.signature]:
                return None
            order.append(module)
        queues = module.queues()
        below = self._arranged(queues, start + len(order))
        return None if below is None else order + below

    def _arranged(self, queues: list[list[_Module]], start: int) -> list[_Module] | None:
        """Return the first order of siblings that fits; None where none does, or where two could be exchanged.

        Depth first. What can follow depends only on how many of each queue are taken: no count is tried twice.
        """
        none = (0,) * len(queues)
        came: dict[tuple[int, ...], tuple[tuple[int, ...], list[_Module]]] = {}
        waiting = [(none, start)]
        while waiting:
            taken, position = waiting.pop()
            if all(count == len(queue) for count, queue in zip(taken, queues, strict=True)):
                return self._gathered(came, taken)
            for index, queue in reversed(list(enumerate(queues))):
                following = (*taken[:index], taken[index] + 1, *taken[index + 1 :])
                part = self.fit(queue[taken[index]], position) if taken[index] < len(queue) else None
                if part is not None and following not in came:
                    came[following] = (taken, part)
                    waiting.append((following, position + len(part)))
        return None

    @staticmethod
    def _gathered(
        came: dict[tuple[int, ...], tuple[tuple[int, ...], list[_Module]]], taken: tuple[int, ...]
    ) -> list[_Module] | None:
        """Return the modules on the way to a count; None where two siblings with other stems cannot be told apart."""
        order: list[_Module] = []
        stem_of: dict[tuple[Signature, ...], int] = {}
        while any(taken):
            before, part = came[taken]
            stem = next(index for index, count in enumerate(taken) if count != before[index])
            if part and stem_of.setdefault(tuple(module.signature for module in part), stem) != stem:
                return None
            order, taken = part + order, before
        return order
