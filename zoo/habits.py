"""Habits: the words that people bring along from other programs, and where this language has them."""

from __future__ import annotations

import json
from collections.abc import Collection

PLACES = {
    "optimizer.lr": "lr lr0 learning_rate",
    "optimizer.weight_decay": "weight_decay l2",
    "optimizer.momentum": "momentum",
    "train.batch_size": "batch_size batch bs",
    "train.epochs": "epochs epoch num_epochs n_epochs max_epochs",
    "train.steps": "steps max_steps num_steps max_iters iterations",
    "train.shuffle": "shuffle",
    "train.seed": "seed random_seed random_state",
    "train.accumulation": "accumulate_grad_batches gradient_accumulation_steps",
    "train.clip_grad_norm": "clip_grad_norm gradient_clip_val max_grad_norm grad_clip clipnorm",
    "train.precision": "precision amp fp16 bf16 mixed_precision",
    "train.early_stopping": "early_stopping",
    "train.early_stopping.patience": "patience",
    "train.log": "log logger logging tensorboard",
    "train.compile": "compile",
    "data.validation": "validation val validation_split val_split val_size val_fraction",
    "data.test": "test test_size test_split",
    "data.root": "root data_dir data_path",
    "data.transforms": "transforms transform",
    "data.augmentation": "augmentation augment",
    "model.layers": "layers",
    "data": "dataset datasets",
    "loss": "loss loss_fn loss_function criterion",
    "metrics": "metrics metric",
    "optimizer": "optimizer optim",
    "scheduler": "scheduler lr_scheduler",
}
"""The words that are written elsewhere in a spec, by their place in it."""
ADVICE = {
    "a spec is of no machine; say it to the command: zoo train SPEC --device cuda": "device gpu gpus accelerator",
    "the run goes to runs/NAME; say another place to the command: zoo train SPEC --out DIR": (
        "out output output_dir save_dir out_dir project checkpoint_dir"
    ),
    "rows live in memory, where no process loads them; sources that may stream have data.workers": (
        "num_workers workers dataloader_workers"
    ),
    'the classes follow from the data; write "out_features": "classes" in the last layer': "num_classes nc classes",
    "sizes follow from the data; remove it": "input_size input_shape input_dim in_features in_channels",
}
"""What to do about words that no spec has."""
MAIN = {"early_stopping": ("patience", 5)}
"""The option that a person means who writes a number for the whole object, and a usual number for it."""
MOST = 1_000_000  # such a number means another thing, for no training measures so often
TYPES = {
    "AdaptiveAvgPool2d": "globalaveragepooling2d",
    "BCEWithLogitsLoss": "bce binary_crossentropy",
    "BatchNorm2d": "batchnormalization batchnorm",
    "Accuracy": "acc",
    "CosineAnnealingLR": "cosine",
    "CrossEntropyLoss": "ce categorical_crossentropy sparse_categorical_crossentropy",
    "L1Loss": "mae mean_absolute_error",
    "Linear": "dense fullyconnected",
    "MSELoss": "mse mean_squared_error",
    "MeanAbsoluteError": "mae",
    "MeanSquaredError": "mse",
    "ReduceLROnPlateau": "plateau",
    "TableFile": "csv csvfile tabular",
    "ToDtype": "totensor toimage convertimagedtype topiltensor",
}
"""Types under the names that they have elsewhere, in small letters."""
OPTIONS = {
    "kernel_size": "pool_size",
    "lr": "learning_rate",
    "num_heads": "heads n_heads nhead",
    "out_channels": "filters",
    "out_features": "units",
    "p": "rate dropout_rate prob probability",
    "stride": "strides",
    "workers": "num_workers dataloader_workers",
}
"""Options likewise, of whatever has them."""
SECTIONS = {"data", "loss", "model", "optimizer", "scheduler", "train"}

_PLACE = {word: place for place, words in PLACES.items() for word in words.split()}
_OPTION = {word: option for option, words in OPTIONS.items() for word in words.split()}
_ADVICE = {word: advice for advice, words in ADVICE.items() for word in words.split()}


def moved(section: str, known: Collection[str], name: str, value: object) -> str | None:
    """Return what to write for an option that a section of a spec does not have; None where nobody is known to mean it.

    Args:
        section: "train"; empty for the top.
        known: the options that it has.
        name: the option.
        value: what was written for it.
    """
    word = name.lower()
    if _OPTION.get(word) in known:
        return f'did you mean "{_OPTION[word]}"?'
    if section not in {"", *SECTIONS}:
        return None
    if word in _ADVICE and not (section == "data" and word in ("num_classes", "nc", "classes")):
        return _ADVICE[word]
    place = _PLACE.get(word)
    if place is None:
        return None
    owner, _, option = place.rpartition(".")
    if owner == section:
        return f'did you mean "{option}"?' if option in known else None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    written = f'"{option}": {json.dumps(value) if number and place != "train.early_stopping" else "…"}'
    return f"write {written} into {owner}" if owner else f"write {written} at the top of the spec, beside data"


def place_of(name: str) -> str | None:
    """Return where a spec has an option under this name or another; None where nobody is known to mean one."""
    return _PLACE.get(name.lower())


def main_option(name: str, value: object) -> str | None:
    """Return the object to write for a bare value; None where nobody is known to mean it.

    Args:
        name: of the object.
        value: what was written for it.
    """
    if name not in MAIN:
        return None
    option, usual = MAIN[name]
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST
    return f'{{"{option}": {value if fits else usual}}}'


def known_type(name: object, kinds: Collection[str]) -> str | None:
    """Return the type of this language that has the name elsewhere; None where none of these has."""
    word = name.lower() if isinstance(name, str) else ""
    return next((kind for kind, words in TYPES.items() if kind in kinds and word in words.split()), None)
