"""An accelerator in software: its tensors say that they are on gpu:0, and are computed on the CPU.

It refuses what CUDA refuses (tensors of two devices in one operator, a generator of the CPU for numbers of the GPU) and
counts what makes a GPU wait for Python: a number that is read, a copy to the CPU, a result whose size depends on
numbers. It draws from the CPU's generator, so that a training on it has the bits of one on the CPU.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

ATEN = torch.ops.aten
CROSSES = {ATEN.copy_.default, ATEN._to_copy.default}
INDEXES = {ATEN.index.Tensor, ATEN.index_put_.default, ATEN._unsafe_index.Tensor}
WAITS = {
    ATEN._local_scalar_dense.default,
    ATEN.equal.default,
    ATEN.nonzero.default,
    ATEN.masked_select.default,
    ATEN._unique2.default,
    ATEN.is_nonzero.default,
    ATEN.bincount.default,
}


class OnGpu(torch.Tensor):
    """A tensor of gpu:0; its numbers are those of a tensor of the CPU."""

    here: Tensor
    __torch_function__: Any = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, here: Tensor) -> OnGpu:
        """Return the tensor; strides and place in the storage are the other's."""
        make: Any = torch.Tensor._make_wrapper_subclass
        place = {"strides": here.stride(), "storage_offset": here.storage_offset()}
        tensor: OnGpu = make(cls, here.shape, **place, dtype=here.dtype, device="gpu:0")
        tensor.here = here
        return tensor

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Return how it is written: as the tensor of the CPU, which a file of a GPU's tensor is read as."""
        return self.here.__reduce_ex__(protocol)  # type: ignore[no-untyped-call]  # torch gives it no types

    def tolist(self) -> Any:
        """Return the numbers, for which Python waits."""
        waits.append(_caller())
        return self.here.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]  # a class method, as torch calls it
        return computed(func, args, kwargs or {})


class Emulation(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch gives it no types
    """The accelerator, for as long as the block lasts."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})


def emulation() -> Emulation:
    """Return the accelerator as a context."""
    return Emulation()  # type: ignore[no-untyped-call]  # torch gives it no types


tape: list[Any] | None = None
"""What is captured, while something is."""


def graph_of(work: Callable[[], Tensor], device: torch.device) -> tuple[Callable[[], None], Tensor]:
    """Return what does the operators of some work again, on the tensors of the first time, as a CUDA graph does."""
    global tape
    captured: list[Any] = []
    tape = captured
    try:
        given = work()
    finally:
        tape = None

    def replay() -> None:
        for func, args, kwargs, result in captured:
            for old, new in zip(tree_leaves(result), tree_leaves(func(*args, **kwargs)), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)

    return replay, given


waits: list[str] = []
"""Where Python waited for the accelerator: the innermost lines of zoo."""


def computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Return what an operator gives, on the device on which CUDA would give it."""
    given: list[Tensor] = []
    _of_tensors(given.append, (args, kwargs))
    there = any(isinstance(tensor, OnGpu) for tensor in given)
    wanted = torch.device(kwargs["device"]) if kwargs.get("device") is not None else None
    if wanted is not None and wanted.type == "gpu":
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if there:
        _refuse_two_devices(func, given)
    crosses = func in CROSSES and _crosses(given, wanted)
    if crosses or (there and (func in WAITS or (func in INDEXES and _by_mask(given[1:])))):
        waits.append(_caller())
        if tape is not None:
            raise RuntimeError("operation not permitted when stream is capturing")
    onto = (
        isinstance(given[0], OnGpu) if func is ATEN.copy_.default else there if wanted is None else wanted.type == "gpu"
    )
    if onto and getattr(kwargs.get("generator"), "device", None) == torch.device("cpu"):
        raise RuntimeError(f"{func}: expected a generator of gpu:0 but found one of the CPU")
    args_here, kwargs_here = (
        _of_tensors(lambda one: one.here if isinstance(one, OnGpu) else one, part) for part in (args, kwargs)
    )
    result = func(*args_here, **kwargs_here)
    if tape is not None:
        tape.append((func, args_here, kwargs_here, result))
    if func is ATEN.detach.default and there:
        return OnGpu(result)
    wrapped = _of_tensors(OnGpu, result) if onto else result
    aliasing: Any = return_and_correct_aliasing
    return aliasing(func, args, kwargs, wrapped) if there else wrapped


def _of_tensors(change: Callable[[Tensor], Any], value: Any) -> Any:
    """Return what an operator takes or gives, with each tensor changed; pytrees take longer than kernels."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: _of_tensors(change, part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        parts = [_of_tensors(change, part) for part in value]
        return parts if isinstance(value, list) else tuple(parts)
    return value


def _refuse_two_devices(func: Any, given: list[Tensor]) -> None:
    stray = [tensor for tensor in given if not isinstance(tensor, OnGpu) and tensor.dim() > 0]
    if stray and func not in CROSSES:
        raise RuntimeError(f"{func}: expected all tensors to be on the same device, but found gpu:0 and cpu")


def _crosses(given: list[Tensor], wanted: torch.device | None) -> bool:
    """Return whether a copy goes from one device to the other."""
    sides = {isinstance(tensor, OnGpu) for tensor in given}
    return len(sides | ({wanted.type == "gpu"} if wanted is not None else set())) > 1


def _by_mask(indices: list[Tensor]) -> bool:
    return any(index.dtype in (torch.bool, torch.uint8) for index in indices)


def _caller() -> str:
    frames = [frame for frame in traceback.extract_stack() if "/zoo/" in frame.filename]
    return (
        f"{frames[-1].filename.rsplit('/zoo/', 1)[1]}:{frames[-1].lineno} {frames[-1].name}" if frames else "elsewhere"
    )


class Gpu(_DummyBackendModule):
    """What torch asks of a module of its own for each kind of device."""

    def synchronize(self, device: torch.device) -> None:
        """Wait for nothing: all is done at once."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        """Return the types of autocast."""
        return [torch.bfloat16, torch.float16]


def begin() -> None:
    """Make the device known to torch, for the rest of the process."""
    _setup_privateuseone_for_python_backend("gpu", Gpu())
    for name, function in (("empty_strided", _empty_strided), ("_copy_from", _copy_from)):
        LIBRARY.impl(name, function, "PrivateUse1")


# Any: torch gives it no types.
LIBRARY: Any = torch.library.Library("aten", "IMPL")  # type: ignore[no-untyped-call]  # torch gives it no types


def _empty_strided(size: Any, stride: Any, *, dtype: Any = None, **_: Any) -> Tensor:
    return OnGpu(torch.empty_strided(size, stride, dtype=dtype, device="cpu"))


def _copy_from(given: Tensor, taker: Tensor, non_blocking: bool = False) -> Tensor:
    copied: Tensor = computed(ATEN.copy_.default, (taker, given), {})
    return copied
