"""Each layer of the language in a tiny model: what it is given, and the layers that end with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from agreement import declared
from zoo.graph import graph_module
from zoo.placed import PlacedLayer
from zoo.placing import Placer
from zoo.shapes import Shape
from zoo.source import Source

# Any: JSON values.
Document = dict[str, Any]

LONGEST = 7
ROW, PLAIN = Shape("N", 6), Shape("N", 4, 6)
LINE, IMAGE, VOLUME = Shape("N", 4, 12), Shape("N", 4, 8, 8), Shape("N", 2, 4, 6, 4)
SEQUENCE = Shape("N", "T", 8, longest=LONGEST)
TOKENS = Shape("N", "T", dtype="int64", longest=LONGEST)
SPATIAL = {1: LINE, 2: IMAGE, 3: VOLUME}


WINDOWS: tuple[Document, ...] = (
    {"type": "Upsample", "scale_factor": 0.6},
    {"type": "Upsample", "scale_factor": [1.7, 2.3], "mode": "bilinear", "align_corners": True},
    {"type": "Upsample", "scale_factor": 1.3, "mode": "bicubic"},
    {"type": "ConvTranspose2d", "out_channels": 2, "kernel_size": 3, "dilation": 3, "output_padding": [2, 1]},
    {"type": "CircularPad2d", "padding": [1, -2, -1, 2]},
    {"type": "MaxPool2d", "kernel_size": 2, "stride": [3, 2], "padding": 1, "ceil_mode": True},
    {"type": "AvgPool2d", "kernel_size": 2, "stride": [3, 2], "ceil_mode": True},
)
"""What ONNX, or torch's way to it, understands otherwise than torch."""


class Case(NamedTuple):
    """A tiny model: its input and its layers."""

    input: Shape
    layers: tuple[Document, ...]

    def __str__(self) -> str:
        return " ".join(str({**layer}) for layer in self.layers)


def case(given: Shape, kind: str, /, **options: object) -> Case:
    """Return the model of one layer."""
    return Case(given, ({"type": kind, **options},))


def _pooled(axes: int, kind: str, **options: object) -> Case:
    """Return a max pooling with indices, and an unpooling of it."""
    pooling = {"type": f"MaxPool{axes}d", "kernel_size": 2, "return_indices": True, "id": "pool"}
    unpooling = {"type": kind, "kernel_size": 2, "indices": "pool", **options}
    return Case(SPATIAL[axes], (pooling, {"type": "Select", "index": 0}, unpooling))


def _spatial() -> list[Case]:
    found = []
    for axes, given in SPATIAL.items():
        sizes, three = list(given.row[1:]), [3] * axes
        for kind, options in (
            ("Conv", {"out_channels": 4, "kernel_size": 3}),
            ("Conv", {"out_channels": 4, "kernel_size": 3, "bias": False}),
            ("Conv", {"out_channels": 4, "kernel_size": 3, "padding": "same", "dilation": 2, "groups": 2}),
            ("Conv", {"out_channels": 4, "kernel_size": 2, "padding": "same"}),
            ("Conv", {"out_channels": 2, "kernel_size": three, "stride": 2, "padding": 1, "padding_mode": "reflect"}),
            ("Conv", {"out_channels": 2, "kernel_size": 3, "parametrization": {"type": "weight_norm"}}),
            ("ConvTranspose", {"out_channels": 4, "kernel_size": 3}),
            ("ConvTranspose", {"out_channels": 4, "kernel_size": 3, "bias": False, "groups": 2}),
            ("ConvTranspose", {"out_channels": 2, "kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}),
            ("AvgPool", {"kernel_size": 2}),
            ("AvgPool", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
            ("AvgPool", {"kernel_size": 3, "stride": 1, "padding": 1, "count_include_pad": False}),
            *((("AvgPool", {"kernel_size": 2, "divisor_override": 3}),) if axes > 1 else ()),
            ("MaxPool", {"kernel_size": 2}),
            ("MaxPool", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
            ("LPPool", {"norm_type": 2.0, "kernel_size": 2}),
            ("AdaptiveAvgPool", {"output_size": 1}),
            ("AdaptiveAvgPool", {"output_size": 2}),
            ("AdaptiveAvgPool", {"output_size": 3}),
            ("AdaptiveMaxPool", {"output_size": 1}),
            ("AdaptiveMaxPool", {"output_size": 2}),
            ("AdaptiveMaxPool", {"output_size": 3}),
            # Two parts leave nothing to chance; more are drawn anew for each batch, in evaluation too.
            *((("FractionalMaxPool", {"kernel_size": 2, "output_size": 2}),) if axes > 1 else ()),
            ("ReflectionPad", {"padding": 1}),
            ("ReplicationPad", {"padding": 1}),
            ("CircularPad", {"padding": 1}),
            ("ZeroPad", {"padding": 1}),
            ("ConstantPad", {"padding": 1, "value": 0.5}),
            ("InstanceNorm", {}),
            ("InstanceNorm", {"affine": True, "track_running_stats": True}),
            ("BatchNorm", {}),
            ("Dropout", {}),
        ):
            found.append(case(given, f"{kind}{axes}d", **options))
        found += [_pooled(axes, f"MaxUnpool{axes}d"), _pooled(axes, f"MaxUnpool{axes}d", output_size=sizes)]
    return found


def _numbers() -> list[Case]:
    plain = """
    CELU ELU GELU Hardshrink Hardsigmoid Hardswish Hardtanh Identity LeakyReLU LogSigmoid Mish PReLU RReLU ReLU ReLU6
    SELU SiLU Sigmoid Softplus Softshrink Softsign Tanh Tanhshrink AlphaDropout Dropout Flatten LayerNorm RMSNorm
    """
    return [
        *(case(PLAIN, kind) for kind in plain.split()),
        *(case(ROW, kind, inplace=True) for kind in ("ReLU", "SiLU", "ELU")),
        case(PLAIN, "GELU", approximate="tanh"),
        case(PLAIN, "PReLU", num_parameters=4),
        case(PLAIN, "GLU"),
        case(PLAIN, "Threshold", threshold=0.1, value=0.5),
        case(PLAIN, "Scale", factor=3.0),
        case(PLAIN, "Pow", exponent=2.0),
        case(SEQUENCE, "Normalize", dim=-1),
        case(IMAGE, "LayerScale", dim=1, value=0.5),
        case(SEQUENCE, "LayerScale", dim=-1, value=0.5, bias=True),
        *(case(PLAIN, kind, dim=-1) for kind in ("Softmax", "LogSoftmax", "Softmin")),
        case(IMAGE, "Softmax2d"),
        *(case(PLAIN, kind, dim=1) for kind in ("Mean", "Sum", "Max")),
        *(case(SEQUENCE, kind, dim=1) for kind in ("Mean", "Sum", "Max")),
        case(ROW, "Linear", out_features=3),
        *(
            case(ROW, "Linear", out_features=6, parametrization={"type": kind})
            for kind in ("weight_norm", "spectral_norm", "orthogonal")
        ),
        case(SEQUENCE, "Linear", out_features=3, bias=False),
        case(PLAIN, "BatchNorm1d", affine=False),
        case(IMAGE, "SyncBatchNorm"),
        case(PLAIN, "LayerNorm", normalized_shape=[4, 6], bias=False),
        case(IMAGE, "GroupNorm", num_groups=2),
        case(IMAGE, "LocalResponseNorm", size=3),
        case(IMAGE, "CrossMapLRN2d", size=3),
        case(IMAGE, "FeatureAlphaDropout"),
        case(IMAGE, "DropBlock2d", p=0.1, block_size=3),
        case(VOLUME, "DropBlock3d", p=0.1, block_size=3),
        case(IMAGE, "StochasticDepth", p=0.5, mode="row"),
        case(IMAGE, "SqueezeExcitation", squeeze_channels=2),
    ]


def _forms() -> list[Case]:
    return [
        case(PLAIN, "Permute", dims=[0, 2, 1]),
        case(SEQUENCE, "Permute", dims=[0, 2, 1]),
        case(PLAIN, "Transpose", dim0=1, dim1=2),
        case(PLAIN, "Index", dim=1, index=-1),
        case(SEQUENCE, "Index", dim=1, index=-1),
        Case(SEQUENCE, ({"type": "Chunk", "chunks": 2, "dim": -1}, {"type": "Select", "index": 1})),
        case(PLAIN, "Narrow", dim=2, start=1, length=3),
        case(PLAIN, "Reshape", shape=[3, 8]),
        case(PLAIN, "Unflatten", dim=2, unflattened_size=[2, 3]),
        case(PLAIN, "Unsqueeze", dim=1),
        Case(PLAIN, ({"type": "Unsqueeze", "dim": 1}, {"type": "Squeeze", "dim": 1})),
        case(IMAGE, "PixelShuffle", upscale_factor=2),
        case(IMAGE, "PixelUnshuffle", downscale_factor=2),
        case(IMAGE, "ChannelShuffle", groups=2),
        case(IMAGE, "Unfold", kernel_size=2),
        case(IMAGE, "Unfold", kernel_size=3, padding=1, stride=2),
        case(LINE, "Fold", output_size=[4, 5], kernel_size=2),
        *(case(IMAGE, "Upsample", scale_factor=2.0, mode=mode) for mode in ("nearest", "nearest-exact", "bilinear")),
        *(case(IMAGE, "Upsample", size=[5, 11], mode=mode) for mode in ("nearest", "nearest-exact", "area", "bicubic")),
        case(IMAGE, "Upsample", size=[5, 11], mode="bilinear", align_corners=True),
        case(LINE, "Upsample", size=7, mode="linear"),
        case(VOLUME, "Upsample", scale_factor=2.0, mode="trilinear"),
        case(IMAGE, "UpsamplingBilinear2d", scale_factor=2.0),
        case(IMAGE, "UpsamplingNearest2d", scale_factor=2.0),
        case(IMAGE, "PatchEmbedding", embed_dim=8, patch_size=4),
        case(PLAIN, "ClassToken"),
        case(PLAIN, "ClassToken", num_tokens=3, std=0.5),
        case(SEQUENCE, "PositionalEmbedding"),
        case(SEQUENCE, "PositionalEmbedding", kind="sinusoidal"),
    ]


def _sequences() -> list[Case]:
    select: Document = {"type": "Select", "index": 0}
    layer: Document = {"type": "TransformerEncoderLayer", "nhead": 2, "dim_feedforward": 8}
    decoder: Document = {"type": "TransformerDecoderLayer", "nhead": 2, "dim_feedforward": 8, "memory": "memory"}
    norm: Document = {"type": "weight_norm"}
    turned: Document = {"type": "Transpose", "dim0": 1, "dim1": 2}
    memory: Document = {"type": "Linear", "out_features": 8, "id": "memory"}
    recurrent: list[tuple[str, Document]] = [
        *((kind, {}) for kind in ("RNN", "LSTM", "GRU")),
        *((kind, {"bidirectional": True, "num_layers": 2}) for kind in ("RNN", "LSTM", "GRU")),
        ("RNN", {"nonlinearity": "relu", "bias": False}),
        ("LSTM", {"proj_size": 2}),
    ]
    heads: list[Document] = [
        {},
        {"num_kv_heads": 2},
        {"rotary": {}},
        {"rotary": {"interleaved": True}},
        {"bias": False},
    ]
    encoders: list[Document] = [{}, {"is_causal": True}, {"norm_first": True, "activation": "gelu"}, {"bias": False}]
    return [
        *(Case(SEQUENCE, ({"type": kind, "hidden_size": 4, **options}, select)) for kind, options in recurrent),
        *(
            case(SEQUENCE, "MultiheadAttention", num_heads=2, **options)
            for options in ({}, {"is_causal": True}, {"add_bias_kv": True}, {"add_zero_attn": True}, {"bias": False})
        ),
        Case(SEQUENCE, ({"type": "MultiheadAttention", "num_heads": 2, "need_weights": True}, select)),
        Case(SEQUENCE, (memory, {"type": "MultiheadAttention", "num_heads": 2, "memory": "memory"})),
        *(case(SEQUENCE, "CausalSelfAttention", num_heads=4, **options) for options in heads),
        *(Case(SEQUENCE, ({**layer, **options},)) for options in encoders),
        case(SEQUENCE, "TransformerEncoder", encoder_layer=layer, num_layers=2, norm={"type": "LayerNorm"}),
        Case(SEQUENCE, (memory, decoder)),
        Case(SEQUENCE, (memory, {**decoder, "tgt_is_causal": True})),
        Case(SEQUENCE, (memory, {"type": "TransformerDecoder", "decoder_layer": decoder, "num_layers": 2})),
        *(
            Case(SEQUENCE, (turned, {"type": "CausalConv1d", "out_channels": 4, "kernel_size": 3, **options}))
            for options in ({}, {"dilation": 2, "groups": 2}, {"kernel_size": 1}, {"parametrization": norm})
        ),
        case(SEQUENCE, "RotaryEmbedding"),
        Case(SEQUENCE, ({**turned, "id": "keys"}, turned, {"type": "MatMul", "from": "keys"}, {"type": "CausalMask"})),
        case(IMAGE, "ShiftedWindowAttention", window_size=[2, 4], num_heads=2),
        case(IMAGE, "ShiftedWindowAttention", window_size=[3, 4], shift_size=[1, 2], num_heads=2, qkv_bias=False),
        Case(SEQUENCE, ({**turned, "id": "other"}, turned, {"type": "MatMul", "from": "other"})),
        case(TOKENS, "Embedding", num_embeddings=5, embedding_dim=4),
        case(TOKENS, "Embedding", num_embeddings=5, embedding_dim=4, padding_idx=0, max_norm=1.0),
        *(
            case(TOKENS, "EmbeddingBag", num_embeddings=5, embedding_dim=4, mode=mode)
            for mode in ("mean", "sum", "max")
        ),
        case(TOKENS, "EmbeddingBag", num_embeddings=5, embedding_dim=4, padding_idx=0),
    ]


def _compositions() -> list[Case]:
    linear: Document = {"type": "Linear", "out_features": 6}
    first = {**linear, "id": "first"}
    return [
        *(Case(ROW, (first, linear, {"type": kind, "from": "first"})) for kind in ("Add", "Concat", "Multiply")),
        case(ROW, "Residual", layers=[linear]),
        case(ROW, "Residual", layers=[linear], shortcut=[linear]),
        *(case(ROW, "Parallel", branches=[[linear], []], join=join) for join in ("concat", "add", "multiply")),
        case(ROW, "Repeat", times=2, layers=[linear, {"type": "ReLU"}]),
        case(ROW, "Block", name="template", layers=[linear, {"type": "ReLU"}]),
        Case(LINE, ({"type": "MaxPool1d", "kernel_size": 2, "return_indices": True}, {"type": "Select", "index": 0})),
        Case(IMAGE, WINDOWS),
    ]


CASES: tuple[Case, ...] = (*_numbers(), *_spatial(), *_forms(), *_sequences(), *_compositions())


def placed(given: Case) -> tuple[PlacedLayer, ...]:
    """Return the layers of a case as the check lays them out."""
    placer = Placer(Source("case.json", "{}", {}), given.input, {})
    assert placer.place(tuple(map(declared, given.layers)), ()), placer.problems
    return tuple(placer.steps)


def module_of(steps: Sequence[PlacedLayer]) -> nn.Module:
    """Return their module in evaluation mode; what torch draws as zeros or ones is drawn anew."""
    torch.manual_seed(0)
    module = graph_module(steps).eval()
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point() and "parametrizations" not in name:
                tensor.add_(torch.rand_like(tensor), alpha=0.1)
    return module
