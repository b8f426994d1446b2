"""The process of a training: how its threads wait and wake, what becomes of memory that a step frees, and what is left.

All but the last are for the whole process, and so are set by a command and by nothing else; what the environment says
of waiting and of memory comes first.
"""

from __future__ import annotations

import ctypes
import gc
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}  # the number of the system call, which Python has no function for
SCHED_ATTR = "IIQiIQQQ"  # the first form of what it is given; the last number but two is the turn, in ns
TURN = 300_000
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # mallopt(3)
LARGEST_MMAP_THRESHOLD = 32 * 2**20  # bytes; what glibc takes at most
NEVER = 2**31 - 1  # bytes at the end of the heap before they are given back
WORTH_GIVING_BACK = 16 * 2**20  # bytes of weights; several times as much is freed


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def rest() -> None:
    """Let threads sleep while they wait; call it before torch is imported.

    A waiting OpenMP thread spins by default: beside one busy neighbour a step of 0.65 ms then takes 35 to 136 ms.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def wake_soon() -> None:
    """Ask Linux, from 6.12 on, for short turns on a core; threads that are started later inherit them.

    Who asks for them is let in the sooner when it wakes, and has no more of the core in the end: beside one busy
    neighbour a step of ResNet-18 on two threads takes 0.95 of the time. Source: EEVDF, sched(7). Where the system
    refuses, or somebody has chosen another policy, nothing changes.
    """
    number = SCHED_SETATTR.get(os.uname().machine) if sys.platform == "linux" else None
    if number is None:
        return
    call, attributes = ctypes.CDLL(None).syscall, ctypes.create_string_buffer(struct.calcsize(SCHED_ATTR))
    if call(number + 1, 0, attributes, len(attributes), 0) != 0:  # sched_getattr
        return
    size, policy, flags, nice, priority, _, *rest = struct.unpack(SCHED_ATTR, attributes.raw)
    if (policy, flags) == (0, 0):  # SCHED_OTHER
        call(number, 0, struct.pack(SCHED_ATTR, size, policy, flags, nice, priority, TURN, *rest), 0)


def settle() -> None:
    """Let threads sleep, wake soon, and keep freed memory for the next step; call it before torch is imported.

    glibc gives large blocks back to the system, so that each step would fault its memory in again: a step of LeNet-5
    with batches of 128 takes 8.4 ms without that, and up to 14.5 ms with it.
    """
    rest()
    wake_soon()
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
        mallopt(TRIM_THRESHOLD, NEVER)


def give_back(held: int) -> None:
    """Give the system what nobody uses: objects that hold each other, and what glibc keeps of the heap in pieces.

    Looking through all objects takes 0.2 to 1 s, which is not worth it for a small model.

    Args:
        held: how many bytes a model holds.
    """
    if held >= WORTH_GIVING_BACK:
        gc.collect()
    trim_heap(held)


def trim_heap(held: int) -> None:
    """Give the system what glibc keeps of the heap in pieces.

    Args:
        held: how many bytes a model holds.
    """
    if held < WORTH_GIVING_BACK:
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def spare_compiler() -> None:
    """Let torch's optimizers work without torch's compiler, whose import takes as long as torch's own.

    Some methods of an optimizer import it on their first call, only to tell it that they are not to be compiled. They
    look first whether that has been done, in an attribute of the function; here it becomes the function itself.
    """
    from torch import optim

    if "torch._dynamo" in sys.modules:
        return
    for method in vars(optim.Optimizer).values():
        function = getattr(method, "__wrapped__", None)
        if function is not None and not hasattr(function, "__dynamo_disable"):
            setattr(function, "__dynamo_disable", function)  # a name that a class body would mangle


def free_memory() -> int:
    """Return the bytes that are free on the machine, or left to its container where these are fewer.

    Where the system does not say what is free it is all that the machine has, and where it does not say that either, no
    end: what is refused for want of memory is not refused by a guess.
    """
    return min(_free_on_the_machine(), *_left_to_the_group())


def _free_on_the_machine(told: Path = Path("/proc/meminfo")) -> int:
    try:
        lines = told.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return _of_the_machine()  # systems other than Linux


def _of_the_machine() -> int:
    try:
        size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # no POSIX, or one that does not know these
        return sys.maxsize
    return size if size > 0 else sys.maxsize


def _left_to_the_group(group: Path = Path("/sys/fs/cgroup")) -> Iterator[int]:
    """Yield what the control group of a container leaves, where there is one with a limit.

    What it holds of files that were read is given back when memory is short, and so counts as free.
    """
    for limit, used, of_files in (
        ("memory.max", "memory.current", ("inactive_file", "active_file")),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            ("total_inactive_file", "total_active_file"),
        ),
    ):
        try:
            most, now = (int((group / name).read_text(encoding="ascii")) for name in (limit, used))
            lines = (group / limit).with_name("memory.stat").read_text(encoding="ascii").splitlines()
        except (OSError, ValueError):
            continue  # no such file, or "max"
        held = sum(int(line.split()[1]) for line in lines if line.startswith(tuple(f"{name} " for name in of_files)))
        yield max(0, most - max(0, now - held))
    yield sys.maxsize
