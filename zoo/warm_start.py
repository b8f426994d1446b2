"""What a fresh model is filled with: torch's functions, or tensors from a run or from a file of another program.

By name, every tensor that is wanted must be in the file with the same sizes. By order, tensors of the same sizes and
dtype are taken in the order of the state dict: within equal sizes the order counts, between different sizes it does
not, so that a tensor which stands elsewhere, such as a class token, is found all the same. safetensors does not keep
the order: `zoo.tensor_order` finds it again.
"""

from __future__ import annotations

import pickle
import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.errors import RunError, reason
from zoo.initializers import Filling, Initializer
from zoo.initializers.warm_start import WarmStart
from zoo.nearest import suggestion
from zoo.patterns import idle
from zoo.seal import require_seal
from zoo.tensor_order import COUNTER, Kind, restored

Tensors = Mapping[str, Tensor]
NAMEABLE = "name a run, a .safetensors file, or a .pt or .pth file that holds a state dict alone"
SHOWN = 5  # faults in one message; a wrong file has one for every tensor

# Whatever a hostile file makes torch.load, and loading what it gives, raise.
UNREADABLE = (
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    EOFError,
    MemoryError,
    ImportError,
    pickle.PickleError,
    struct.error,
)


def initialize(model: nn.Module, initializers: Iterable[Initializer]) -> None:
    """Fill the model's tensors in place, one initializer after the other; torch's global generator is drawn from.

    Raises:
        RunError: as `warm_start`.
    """
    for initializer in initializers:
        if isinstance(initializer, WarmStart):
            warm_start(model, initializer)
        elif isinstance(initializer, Filling):
            for name, parameter in model.named_parameters():
                if initializer.matches(name):
                    initializer.apply(parameter)


def warm_start(model: nn.Module, declared: WarmStart) -> None:
    """Fill the model's tensors in place; nothing is changed where one cannot be filled.

    Raises:
        RunError: the file is absent or unreadable, or a tensor is not in it, or has other sizes.
    """
    tensors, found = model.state_dict(), read_tensors(declared.source)
    pairs = origins(tensors, found, declared)
    with torch.no_grad():
        for name, other in pairs.items():
            tensors[name].copy_(found[other].reshape(tensors[name].shape))


def origins(tensors: Tensors, found: Tensors, declared: WarmStart) -> dict[str, str]:
    """Return for each tensor of a state dict that is filled the name in the file of the one that fills it.

    Raises:
        RunError: a tensor is not in the file, or has other sizes; or a pattern fits no tensor of the model.
    """
    match = (declared.match,) if isinstance(declared.match, str) else declared.match or ()
    for index in idle(match, list(tensors)):
        remedy = suggestion(match[index].lstrip("!"), list(tensors))
        raise RunError(f'the pattern "{match[index]}" of init matches no tensor of the model', remedy)
    wanted = {name: tensor for name, tensor in tensors.items() if declared.matches(name)}
    return _by_order(wanted, found, declared) if declared.by == "order" else _by_name(wanted, found, declared)


def weights_file(source: str) -> Path:
    """Return the file that holds the tensors of a run, or that a person names.

    Raises:
        RunError: there is none.
    """
    path = Path(source)
    path = path / "model.safetensors" if path.is_dir() else path
    if not path.is_file():
        raise RunError(f"there are no weights at {path}", NAMEABLE)
    return path


def read_tensors(source: str) -> Tensors:
    """Return the tensors of a run or of a file, on the CPU; nothing in it is executed.

    Raises:
        RunError: there is none, or it is not a state dict.
    """
    path = weights_file(source)
    if path.suffix not in (".safetensors", ".pt", ".pth"):
        raise RunError(f"{path} is neither a .safetensors nor a .pt or .pth file", NAMEABLE)
    try:
        if (Path(source) / "spec.json").is_file():
            require_seal(path)  # a run's; a file of another program carries none
        if path.suffix == ".safetensors":
            return load_file(path)
        record: object = torch.load(path, map_location="cpu", weights_only=True)
    except (*UNREADABLE, SafetensorError) as error:
        raise RunError(f"{path} cannot be read: {reason(error)}", NAMEABLE) from error
    if isinstance(record, dict) and isinstance(record.get("model"), dict):
        record = record["model"]  # a checkpoint of zoo, of any version, and of many other programs
    if not isinstance(record, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in record.items()
    ):
        raise RunError(f"{path} holds something else than named tensors", NAMEABLE)
    return record


def _by_name(wanted: Tensors, found: Tensors, declared: WarmStart) -> dict[str, str]:
    """Return the name in the file for each tensor that is wanted.

    Raises:
        RunError: with up to SHOWN of the faults.
    """
    here: dict[str, str] = {}
    faults = []
    for name in found:
        new = declared.renamed(name)
        if new in here:
            faults.append(f"two tensors of the file are called {new} here")
        here[new] = name
    pairs: dict[str, str] = {}
    for name, tensor in wanted.items():
        other = here.get(name)
        if other is None:
            if not name.endswith(COUNTER) and not any(_same(tensor, wanted[filled]) for filled in pairs):
                faults.append(f"{name} is not in the file")
            continue
        if _kind(found[other]) != _kind(tensor):
            faults.append(f"{name} is {_described(found[other])} in the file, but {_described(tensor)} in the model")
        else:
            pairs[name] = other
    _refuse(faults, declared, 'write rename or match, or "by": "order"')
    return pairs


def _by_order(wanted: Tensors, found: Tensors, declared: WarmStart) -> dict[str, str]:
    """Return the name in the file for each tensor that is wanted, in order within equal sizes.

    Raises:
        RunError: with up to SHOWN of the sizes that one of the two has more of.
    """
    counted = any(name.endswith(COUNTER) for name in found)
    wanted = {name: tensor for name, tensor in wanted.items() if counted or not name.endswith(COUNTER)}
    our_kinds, their_kinds = _comparable(wanted, found)
    ours, theirs = _gathered(our_kinds), _gathered(their_kinds)
    faults = [
        f"{len(ours[kind])} of {kind[1]} {list(kind[0])} in the model, but {len(theirs[kind])} in the file"
        for kind in dict.fromkeys((*ours, *theirs))
        if len(ours[kind]) != len(theirs[kind])
    ]
    _refuse(faults, declared, 'write "by": "name" with match, or another file')
    if not declared.source.endswith((".pt", ".pth")):
        order = restored(their_kinds, our_kinds)
        if order is None:
            fault = "safetensors sorts tensors by name, and which of its modules is which in the model cannot be told"
            _refuse([fault], declared, 'write "by": "name" with rename, or save the state dict as a .pt file')
        theirs = _gathered({name: their_kinds[name] for name in order or ()})
    return {name: other for kind in ours for name, other in zip(ours[kind], theirs[kind], strict=True)}


def _kind(tensor: Tensor) -> Kind:
    return tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")


def _same(one: Tensor, other: Tensor) -> bool:
    """Return whether two names are of one tied tensor."""
    return one.data_ptr() == other.data_ptr() and one.shape == other.shape and one.numel() > 0


def _described(tensor: Tensor) -> str:
    sizes, dtype = _kind(tensor)
    return f"{dtype} {list(sizes)}"


def _comparable(wanted: Tensors, found: Tensors) -> tuple[dict[str, Kind], dict[str, Kind]]:
    """Return the kinds of the tensors, without axes of size 1 where the two have not as many of the whole kind."""
    whole = [{name: _kind(tensor) for name, tensor in tensors.items()} for tensors in (wanted, found)]
    counts = [Counter(kinds.values()) for kinds in whole]

    def compared(kind: Kind) -> Kind:
        same = counts[0][kind] == counts[1][kind]
        return kind if same else (tuple(size for size in kind[0] if size != 1), kind[1])

    ours, theirs = ({name: compared(kind) for name, kind in kinds.items()} for kinds in whole)
    return ours, theirs


def _gathered(kinds: Mapping[str, Kind]) -> defaultdict[Kind, list[str]]:
    """Return the names of the tensors of each kind, in order."""
    names: defaultdict[Kind, list[str]] = defaultdict(list)
    for name, kind in kinds.items():
        names[kind].append(name)
    return names


def _refuse(faults: list[str], declared: WarmStart, remedy: str) -> None:
    if faults:
        more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        message = f"the model cannot start from {declared.source}: {'; '.join(faults[:SHOWN])}{more}"
        raise RunError(message, remedy)
