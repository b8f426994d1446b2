"""Recording: what torch computes in one step, operator by operator, written down as TorchScript.

A dispatch mode stands below autograd and so sees the operators of the forward and the backward pass alike, in the order
in which they run. Written down and run again by torch's interpreter they are the same kernels on the same numbers,
without Python between them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from zoo.training.ways import WAYS, Call

# How TorchScript writes what torch's operators take beside tensors and numbers: c10's numbers of the types.
DTYPES = {
    torch.uint8: 0,
    torch.int8: 1,
    torch.int16: 2,
    torch.int32: 3,
    torch.int64: 4,
    torch.float16: 5,
    torch.float32: 6,
    torch.float64: 7,
    torch.bool: 11,
    torch.bfloat16: 15,
}
MEMORY_FORMATS = {
    torch.contiguous_format: 0,
    torch.preserve_format: 1,
    torch.channels_last: 2,
    torch.channels_last_3d: 3,
}
MOST = 2**28  # bytes that a record holds on to
DEPENDS_ON_DATA = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)


class NotRecordable(Exception):
    """A step has something in it that cannot be written down; the message says what."""


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch gives it no types
    """A context that writes down each operator; tensors made outside it are constants, known by reference."""

    def __init__(self, **named: Tensor) -> None:
        """Begin with tensors that have a name in the text: those that change from step to step."""
        super().__init__()  # type: ignore[no-untyped-call]  # likewise
        self.lines: list[str] = []
        self.calls: dict[int, Call] = {}
        """By their lines, those that may be computed in another way."""
        self.constants: list[Tensor] = []
        self.fault = ""
        """Why the step cannot be written down; empty where it can."""
        self._names: dict[tuple[object, ...], str] = {}
        self._kept: list[object] = list(named.values())  # so that no address is used twice
        self._held: dict[int, int] = {}
        """Bytes of the results, by their addresses."""
        self._made: set[int] = set()
        self._outside: set[int] = set()
        """Where the numbers of constants are; those of `_made` are computed in each step."""
        self.written: set[int] = set()
        """Where the numbers are that an operator overwrites."""
        self._count = 0
        for name, tensor in named.items():
            self._names[_key(tensor)] = name
            self._made.add(_address(tensor))
        self._batch = frozenset(self._made)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return that torch's compiler needs no word that this is not to be compiled: its import takes a second."""
        return False

    # Any: whatever torch's operators take and give.
    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operator and write it down."""
        given = dict(kwargs or {})
        if self.fault or func.namespace == "profiler":  # marks for a profiler compute nothing
            return func(*args, **given)
        result = None
        try:
            text, literals = self._call(func, args, given)
            result = func(*args, **given)
            self._keep(args, given, result)
            if func is torch.ops.aten.ones_like.default and result.numel() == 1:
                self.name(result)  # where backward begins: a constant
            else:
                self._note(func, text, args, result)
                if func in WAYS and not given:
                    own = self.lines[-1].partition(" = ")[0].split(", ")
                    self.calls[len(self.lines) - 1] = Call(func, args, tuple(own), literals, text)
        except NotRecordable as error:
            self.fault = str(error)
            self._kept.clear()
        return func(*args, **given) if result is None else result

    # Any: as above.
    def _keep(self, args: tuple[Any, ...], given: dict[str, Any], result: Any) -> None:
        """Hold on to what an operator took and gave, so that no address is used twice.

        Raises:
            NotRecordable: that is too much memory.
        """
        self._kept.append((args, given, result))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, Tensor) and _address(tensor) not in self._held:
                self._held[_address(tensor)] = tensor.untyped_storage().nbytes()
        if sum(self._held.values()) > MOST:
            raise NotRecordable(f"a record of one would hold more than {MOST // 2**20} MiB")

    def name(self, tensor: Tensor) -> str:
        """Return what a tensor is called in the text; one that is new is a constant from here on.

        Raises:
            NotRecordable: it looks at the numbers of another tensor in a way that was not seen.
        """
        found = self._names.get(_key(tensor))
        if found is not None:
            return found
        if tensor.numel() and _address(tensor) in self._made:
            raise NotRecordable("a view that torch made out of sight")
        self._outside.add(_address(tensor))
        self.constants.append(tensor)
        self._kept.append(tensor)
        self._names[_key(tensor)] = name = f"c{len(self.constants) - 1}"
        return name

    @property
    def overwrites_batch(self) -> bool:
        """Return whether the step overwrites the tensors that have a name."""
        return not self.written.isdisjoint(self._batch)

    # Any: as above.
    def _call(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
        """Return the operator with its arguments as TorchScript writes it, and these alone."""
        if any(tag in func.tags for tag in DEPENDS_ON_DATA):
            raise NotRecordable(f"{func}, whose result depends on the numbers")
        declared = func._schema.arguments
        for value, argument in zip(args, declared, strict=False):
            if isinstance(value, Tensor) and argument.alias_info is not None and argument.alias_info.is_write:
                self.written.add(_address(value))
        places = {argument.name: str(argument.type) for argument in declared}
        given = [self._literal(value, str(argument.type)) for value, argument in zip(args, declared, strict=False)]
        given += [f"{name}={self._literal(value, places[name])}" for name, value in kwargs.items()]
        return f"torch.ops.{func._schema.name.replace('::', '.')}({', '.join(given)})", tuple(given)

    # Any: as above.
    def _note(self, func: Any, text: str, args: tuple[Any, ...], result: Any) -> None:
        """Write the line, and note what its results are called."""
        if func is torch.ops.aten.detach.default:
            self._names[_key(result)] = self.name(args[0])
            return
        results = result if isinstance(result, tuple | list) else (result,)
        own = [f"v{self._count + index}" for index in range(len(results))]
        self._count += len(results)
        if isinstance(result, list):
            listed = f"l{self._count}"
            self.lines += [f"{listed} = {text}", *(f"{name} = {listed}[{i}]" for i, name in enumerate(own))]
        else:
            self.lines.append(f"{', '.join(own)} = {text}" if own else text)
        for name, tensor in zip(own, results, strict=True):
            if isinstance(tensor, Tensor):
                self._names.setdefault(_key(tensor), name)
                if _address(tensor) not in self._outside:
                    self._made.add(_address(tensor))

    # Any: as above.
    def _literal(self, value: Any, kind: str) -> str:
        """Return an argument as TorchScript writes it.

        Raises:
            NotRecordable: it has no literal.
        """
        if isinstance(value, Tensor):
            return self.name(value)
        if isinstance(value, list | tuple):
            inner = kind.removeprefix("Optional[").removeprefix("List[").rstrip("]")
            parts = f"[{', '.join(self._literal(part, inner) for part in value)}]"
            if value and "Optional[Tensor]" not in kind:
                return parts
            self._count += 1
            self.lines.append(f"a{self._count}: List[{'Optional[Tensor]' if value else inner}] = {parts}")
            return f"a{self._count}"
        if isinstance(value, float) or (isinstance(value, int) and "float" in kind and not isinstance(value, bool)):
            return repr(float(value)) if math.isfinite(value) else f'float("{float(value)}")'
        if value is None or isinstance(value, bool | int | str):
            return repr(value)
        if isinstance(value, torch.dtype) and value in DTYPES:
            return str(DTYPES[value])
        if isinstance(value, torch.memory_format) and value in MEMORY_FORMATS:
            return str(MEMORY_FORMATS[value])
        if value is torch.strided:
            return "0"
        if isinstance(value, torch.device):
            return f'torch.device("{value}")'
        raise NotRecordable(f"an argument of type {type(value).__name__}")


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _key(tensor: Tensor) -> tuple[object, ...]:
    """Return what tells a tensor from every other that is alive, unless both look at the same numbers alike."""
    if tensor.layout is not torch.strided:
        raise NotRecordable(f"a tensor of layout {tensor.layout}")
    # Tensors without numbers have no address, and are all alike.
    return tensor.data_ptr() if tensor.numel() else 0, tuple(tensor.shape), tensor.stride(), tensor.dtype
