"""Train: no option of a training is ignored: each gives other weights than all the others."""

from __future__ import annotations

from typing import Any

import torch
from test_exact import checked, trained

from conftest import Document, linear, noise

LAYERS: list[Document] = [
    {"type": "Flatten"},
    {"type": "Linear", "out_features": 4, "id": "body"},
    {"type": "BatchNorm1d"},
    {"type": "ReLU"},
    {"type": "Linear", "out_features": "classes"},
]
WARM = {"type": "LinearLR", "start_factor": 0.25, "total_iters": 3}
PLATEAU = {"type": "ReduceLROnPlateau", "patience": 0, "threshold": 1e9, "threshold_mode": "abs"}
TRAIN: tuple[Document, ...] = (
    {"accumulation": 2},
    {"clip_grad_norm": 0.05},
    {"clip_grad_value": 0.001},
    {"precision": "bf16"},
    {"precision": "fp16"},
    {"ema": 0.9},
    {"sampler": "balanced"},
    {"seed": 1},
    {"shuffle": False},
    {"drop_last": True},
)
AUGMENTATION: tuple[Document, ...] = (
    {"type": "RandAugment"},
    {"type": "MixUp"},
    {"type": "CutMix"},
    {"type": "RandomHorizontalFlip"},
    {"type": "RandomRotation", "degrees": 90},
    {"type": "RandomCrop", "size": 6, "padding": 2},
    {"type": "ColorJitter", "hue": 0.3},
)
OPTIONS: dict[str, Document] = {
    "nothing": {},
    **{f"train {option}": {"train": option} for option in TRAIN},
    **{f"augmentation {option}": {"data": {"augmentation": [option]}} for option in AUGMENTATION},
    "label smoothing": {"loss": {"label_smoothing": 0.2}},
    "balanced weights": {"loss": {"weight": "balanced"}},
    "weights": {"loss": {"weight": [1.0, 2.0, 3.0]}},
    "L2": {"optimizer": {"weight_decay": 0.1}},
    "L2 without biases and norms": {"optimizer": {"weight_decay": 0.1, "decay": "matrices"}},
    "momentum": {"optimizer": {"momentum": 0.9}},
    "groups": {"optimizer": {"groups": [{"match": "body.*", "lr": 0.05}]}},
    "freeze": {"freeze": ["body.*"]},
    "Kaiming": {"init": [{"type": "kaiming_normal_", "match": "body.weight"}]},
    "Xavier": {"init": [{"type": "xavier_uniform_", "match": "body.weight"}]},
    "an epoch's scheduler": {"scheduler": {"type": "StepLR", "step_size": 1, "gamma": 0.1}},
    "a step's scheduler": {"scheduler": {"type": "StepLR", "step_size": 3, "gamma": 0.5, "interval": "step"}},
    "warm-up": {"scheduler": WARM | {"interval": "step"}},
    "on a plateau": {"scheduler": PLATEAU},
    "dropout": {"model": {"layers": [*LAYERS[:4], {"type": "Dropout"}, LAYERS[4]]}},
}


def weights(changes: dict[str, Any]) -> bytes:
    """The weights that a training keeps, of a small spec with these changes."""
    document = linear(
        data=noise(33, [3, 6, 6], validation=0.2),
        model__layers=LAYERS,
        loss={"type": "CrossEntropyLoss"},
        metrics=[{"type": "Accuracy"}],
        optimizer={"type": "SGD", "lr": 0.1},
        train={"epochs": 3, "batch_size": 4},
    )
    for key, value in changes.items():
        document[key] = document[key] | value if isinstance(document.get(key), dict) else value
    state, _ = trained(checked(document))
    return b"".join(tensor.numpy().tobytes() for tensor in state.measured.state_dict().values())


def test_each_option_gives_weights_of_its_own() -> None:
    torch.set_num_threads(1)
    found: dict[bytes, str] = {}
    for name, changes in OPTIONS.items():
        other = found.setdefault(weights(changes), name)
        assert other == name, f"{name} gives the weights of {other}"
