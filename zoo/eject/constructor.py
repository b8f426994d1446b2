"""Constructor: the Python text that builds a torch module again.

The text comes from the module's own attributes, or from the options of the layer that made it, whichever gives a module
that is equal in type, options and tensors. It holds numbers, names of torch's own and strings of torch's own alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from copy import deepcopy
from enum import Enum
from math import isinf, isnan
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from zoo.errors import ExportError, reason
from zoo.strict import Strict
from zoo.transforms import Transform

Options = Mapping[str, object]


def constructor(module: nn.Module, options: Options = {}, name: str = "") -> str:  # noqa: B006 - never changed
    """Return the call that makes a fresh module of this kind.

    Args:
        module: of torch.nn or of torchvision's transforms.
        options: of the layer that made it, by torch's names.
        name: how the module is called in the message.

    Raises:
        ExportError: no call is found that makes an equal module.
    """
    if type(module) is nn.Sequential:
        parts = (constructor(part, name=f"{name}.{key}") for key, part in module.named_children())
        return f"nn.Sequential({', '.join(parts)})"
    if isinstance(module, nn.TransformerEncoder | nn.TransformerDecoder):
        return _stack(module, name)
    if parametrize.is_parametrized(module):
        return _parametrized(module, options, name)
    for text in _candidates(module, options):
        if _equal(text, module):
            return text
    kind = type(module).__name__
    raise ExportError(f"{name}: {kind} cannot be written as a call of torch", f"eject a spec without this {kind}")


def transform_call(transform: Transform) -> str:
    """Return the call that makes a transform of torchvision, with the options that are not its defaults.

    Raises:
        ExportError: the call makes another one.
    """
    from torchvision.transforms import v2

    kind = type(transform).__name__
    defaults = {name: p.default for name, p in inspect.signature(getattr(v2, kind)).parameters.items()}
    inner = getattr(transform, "transforms", ())
    written = [f"[{', '.join(map(transform_call, inner))}]"] if inner else []
    for name, value in transform.arguments().items():
        if name != "transforms" and not (name in defaults and value == defaults[name]):
            written.append(f"{name}={literal(value)}")
    text = f"v2.{kind}({', '.join(written)})"
    if repr(eval(text, {"torch": torch, "v2": v2})) != repr(transform.build()):
        raise ExportError(f"the transform {kind} cannot be ejected", "eject a spec without it")
    return text


def _stack(module: nn.TransformerEncoder | nn.TransformerDecoder, name: str) -> str:
    """Return the call of a stack of equal layers, whose first part is one of them."""
    parts = [constructor(module.layers[0], name=f"{name}.layers.0"), str(module.num_layers)]
    parts += [] if module.norm is None else [constructor(module.norm, name=f"{name}.norm")]
    parts += ["enable_nested_tensor=False"] if isinstance(module, nn.TransformerEncoder) else []
    return f"nn.{type(module).__name__}({', '.join(parts)})"


def _parametrized(module: nn.Module, options: Options, name: str) -> str:
    """Return the call of torch.nn.utils.parametrizations around that of the plain module."""
    declared = options.get("parametrization")
    assert isinstance(declared, Strict)  # the layer that made the module
    plain = _without_parametrization(module)
    own = type(declared)
    defaults = {key: field.default for key, field in own.model_fields.items()}
    said = {key: getattr(declared, key) for key in own.model_fields if key != "type"}
    written = [f"{key}={literal(value)}" for key, value in said.items() if value != defaults[key]]
    others = {key: value for key, value in options.items() if key != "parametrization"}
    call = [constructor(plain, others, name), *written]
    return f"nn.utils.parametrizations.{own.__name__}({', '.join(call)})"


def _without_parametrization(module: nn.Module) -> nn.Module:
    """Return a module of torch's own class with the same attributes, whose weight is a parameter."""
    base: type[nn.Module] = type(module).__bases__[0]
    # In evaluation: otherwise spectral_norm moves its vectors whenever its weight is read.
    weight: Tensor = getattr(deepcopy(module).eval(), "weight")  # noqa: B009  # to torch's types, it is any part
    plain = base.__new__(base)
    vars(plain).update(vars(module), _modules={}, _buffers={})
    vars(plain)["_parameters"] = {"weight": nn.Parameter(weight.detach()), **module._parameters}
    return plain


def _candidates(module: nn.Module, options: Options) -> Iterator[str]:
    """Yield calls that may fit, the shortest first."""
    own = type(module)
    owner = _owner(own)
    if owner is None:
        return
    own_options = _attributes(module)
    for collapse in (True, False):
        for read in (own_options, {**own_options, **options}, options):
            text = _call(owner, own, read, collapse)
            if text is not None:
                yield text


def _owner(own: type[object]) -> str | None:
    """Return what the generated file calls the place of a class."""
    if getattr(nn, own.__name__, None) is own:
        return "nn"  # without the import of torchvision, which takes as long as torch's
    from torchvision import ops
    from torchvision.models import swin_transformer
    from torchvision.transforms import v2

    windows = "torchvision.models.swin_transformer"
    for place, text in ((v2, "v2"), (ops, "torchvision.ops"), (swin_transformer, windows)):
        if getattr(place, own.__name__, None) is own:
            return text
    return None


def _signature(own: type[nn.Module]) -> dict[str, inspect.Parameter]:
    """Return torch's options in order; the recurrent layers say theirs in their base class."""
    named: dict[str, inspect.Parameter] = {}
    for base in (own, *own.__mro__[1:]):
        found = inspect.signature(vars(base).get("__init__", base)).parameters.values()
        named |= {p.name: p for p in found if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "self"}
        if not any(p.kind is p.VAR_POSITIONAL for p in found):
            break
    skipped = {"device", "dtype"} if _owner(own) == "nn" else set()
    if issubclass(own, nn.RNNBase):
        skipped.add("mode")  # the class itself
    if issubclass(own, nn.RNN):
        named["nonlinearity"] = inspect.Parameter("nonlinearity", inspect.Parameter.KEYWORD_ONLY, default="tanh")
    return {name: p for name, p in named.items() if name not in skipped and not name.startswith("_")}


def _attributes(module: nn.Module) -> dict[str, object]:
    """Return what the module remembers of its options; a tensor that may be left out stands for true."""
    names = [name for name in sorted({*dir(module)} - {*dir(nn.Module)}) if not name.startswith("_")]
    # A method stands for what is no plain attribute: parameters, buffers and parts.
    plain = [name for name in names if not callable(inspect.getattr_static(module, name, callable))]
    read = {name: getattr(module, name) for name in plain} | dict(module.named_buffers())
    read |= {name: value is not None for name, value in module._parameters.items()}
    if type(module).__name__ == "SqueezeExcitation":
        squeeze = module.get_submodule("fc1")
        read |= {"input_channels": squeeze.in_channels, "squeeze_channels": squeeze.out_channels}
        read |= {name: type(getattr(module, name)) for name in ("activation", "scale_activation")}
    if type(module).__name__ == "ShiftedWindowAttention":
        mixed, projected = module.get_submodule("qkv"), module.get_submodule("proj")
        read |= {"dim": mixed.in_features, "qkv_bias": mixed.bias is not None, "proj_bias": projected.bias is not None}
    if isinstance(module, nn.TransformerEncoderLayer | nn.TransformerDecoderLayer):
        read |= _transformer_options(module)
    if isinstance(module, nn.MultiheadAttention):
        read |= {"bias": module.in_proj_bias is not None, "add_bias_kv": module.bias_k is not None}
        read = {
            name: value for name, value in read.items() if name not in ("kdim", "vdim") or value != module.embed_dim
        }
    return read


def _transformer_options(module: nn.TransformerEncoderLayer | nn.TransformerDecoderLayer) -> dict[str, object]:
    """Return what the parts of a transformer's layer say of its options."""
    attention, first, norm = module.self_attn, module.linear1, module.norm1
    activation = "gelu" if module.activation is nn.functional.gelu else "relu"
    named = {"d_model": attention.embed_dim, "nhead": attention.num_heads, "dim_feedforward": first.out_features}
    said = {"dropout": module.dropout.p, "activation": activation, "layer_norm_eps": norm.eps}
    return named | said | {"bias": first.bias is not None}


def _call(owner: str, own: type[nn.Module], read: Options, collapse: bool) -> str | None:
    """Return a call with the options that are not torch's defaults; None where a needed one is not known."""
    written: list[str] = []
    lead = True
    options = dict(read)
    if "batch_first" in _signature(own):
        options.setdefault("batch_first", True)
    for name, parameter in _signature(own).items():
        needed = parameter.default is parameter.empty
        if name not in options:
            if needed:
                return None
            lead = False
            continue
        value = _collapsed(options[name]) if collapse else options[name]
        if not needed and type(value) is type(parameter.default) and _plain(value) and value == parameter.default:
            lead = False
            continue
        text = literal(value)
        if text is None:
            if needed:
                return None
            lead = False
            continue
        lead = lead and needed
        written.append(text if lead else f"{name}={text}")
    return f"{owner}.{own.__name__}({', '.join(written)})"


def _plain(value: object) -> bool:
    return isinstance(value, bool | int | float | str | type | None)


def _collapsed(value: object) -> object:
    """Return one number for a tuple of equal ones."""
    if isinstance(value, tuple) and value and all(part == value[0] for part in value):
        return value[0]
    return value


def literal(value: object) -> str | None:
    """Return a value as Python text; None for what is no number, string, dtype, tensor, or row of them."""
    if isinstance(value, float) and (isinf(value) or isnan(value)):
        return f'float("{value}")'
    if isinstance(value, str):
        return f'"{value}"' if value.isprintable() and not set(value) & set("\\\"'") else repr(value)
    if value is None or isinstance(value, bool | int | float | torch.dtype):
        return repr(value)
    named = getattr(value, "__name__", "")
    if isinstance(value, type) and getattr(nn, named, None) is value:
        return f"nn.{named}"
    if isinstance(value, Enum) and _owner(type(value)) == "v2":
        return f"v2.{type(value).__name__}.{value.name}"
    if isinstance(value, Tensor):
        return f"torch.tensor({value.tolist()!r})"
    if isinstance(value, tuple | list):
        parts = [literal(part) for part in value]
        if None in parts:
            return None
        inside = ", ".join(part for part in parts if part is not None)
        return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' if len(parts) == 1 else ''})"
    return None


def keywords(options: Options) -> list[str]:
    """Return options as keyword arguments."""
    return [f"{name}={literal(value)}" for name, value in options.items()]


def _equal(text: str, module: nn.Module) -> bool:
    """Return whether the call makes a module of the same type, with the same options and tensors of the same sizes."""
    # The text has been put together from literals and torch's own names above.
    names: dict[str, Any] = {"nn": nn, "torch": torch}
    if "torchvision." in text or "v2." in text:
        import torchvision
        from torchvision.transforms import v2

        names |= {"torchvision": torchvision, "v2": v2}
    try:
        with torch.device("meta"):
            made = eval(text, names)
    except (TypeError, ValueError, RuntimeError, AssertionError, NotImplementedError) as error:
        reason(error)
        return False
    return type(made) is type(module) and repr(made) == repr(module) and _form(made) == _form(module)


def _form(module: nn.Module) -> dict[str, object]:
    """Return the sizes of a module's tensors and its plain attributes, with those of its parts."""
    tensors: dict[str, object] = {
        name: (tuple(tensor.shape), tensor.dtype) for name, tensor in module.state_dict(keep_vars=True).items()
    }
    for prefix, part in module.named_modules():
        tensors |= {
            f"{prefix}.{name}": value for name, value in vars(part).items() if _plain(value) and name != "training"
        }
    return tensors
