"""Known architectures: what the check says without torchvision is what torchvision does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import hub, nn
from torchvision.models import get_model, get_model_weights

from conftest import REPOSITORY
from measure import NAMES, SEGMENTING, accepts, heads, made, multiply_adds, parameters, undrawn, zeroed
from zoo.check import check_file
from zoo.costs import costs
from zoo.errors import DataError, ShapeError
from zoo.models.known import Architecture, torchvision
from zoo.models.table import Entry, find, names
from zoo.shapes import Shape
from zoo.training.frozen import still_modules

COMMON = sorted({*NAMES} & {*names()})
"""What the table and the installed torchvision both have; another torchvision may have other models."""
FORWARD = (
    ("squeezenet1_1", 17, 20),
    ("mobilenet_v3_small", 1, 33),
    ("resnet18", 33, 40),
    ("shufflenet_v2_x0_5", 32, 33),
    ("swin_t", 32, 45),
    ("googlenet", 15, 47),
    ("lraspp_mobilenet_v3_large", 20, 17),
)
TOO_SMALL = (
    "alexnet", "convnext_tiny", "densenet121", "googlenet", "inception_v3", "mnasnet0_5", "regnet_y_400mf", "resnet18",
    "squeezenet1_0", "swin_v2_t", "vgg11", "lraspp_mobilenet_v3_large", "fcn_resnet50",
)  # fmt: skip


def known(name: str) -> Entry:
    entry = find(name)
    assert entry is not None
    return entry


def architecture(name: str, weights: str | None = None, classes: int | None = 5) -> Architecture:
    (layer,), path = torchvision(type="torchvision", name=name, weights=weights, classes=classes).parts()
    assert path == ()
    assert isinstance(layer, Architecture)
    return layer


def images(height: int, width: int | None = None) -> Shape:
    return Shape("N", 3, height, width or height)


def refusal(**options: object) -> list[tuple[str, str]]:
    """The options that are refused, each with the words."""
    with pytest.raises(ValidationError) as refused:
        torchvision.model_validate({"type": "torchvision", **options})
    return [(str(detail["loc"][0]), str(detail["ctx"]["error"])) for detail in refused.value.errors()]


def contradictions(entry: Entry) -> list[str]:
    """What the installed torchvision says otherwise; weights may have been added since, but never taken away."""
    model, other = undrawn(entry.name), undrawn(entry.name, num_classes=2)
    enum = get_model_weights(entry.name)
    wrong = [] if entry.parameters == parameters(model) else ["tensors"]
    wrong += [] if entry.heads == heads(model, other) else ["heads"]
    shapes = architecture(entry.name, classes=2).parameter_shapes(images(entry.cost[0]))
    wrong += [] if shapes == parameters(other) else ["tensors of two classes"]
    wrong += [] if entry.segments == (entry.name in SEGMENTING) else ["segments"]
    wrong += [] if {*entry.weights} <= {weight.name for weight in enum} else ["weights"]
    wrong += [] if entry.outputs == len(enum["DEFAULT"].meta["categories"]) else ["outputs"]
    sides = {weight.name: entry.side(weight.name) for weight in enum}
    wrong += [] if all(side in (None, enum[name].meta["min_size"][0]) for name, side in sides.items()) else ["sides"]
    return wrong


def test_the_table_and_the_installed_torchvision_have_nearly_all_models_in_common() -> None:
    assert len(COMMON) > 0.9 * max(len(NAMES), len(names()))


@pytest.mark.parametrize("name", COMMON)
def test_the_table_is_current(name: str) -> None:
    assert contradictions(known(name)) == []


def test_a_wrong_table_is_found() -> None:
    entry = known("resnet18")
    wrong = replace(entry, heads=("fc1",), weights=("V9",), tensors=known("resnet34").tensors)
    assert contradictions(wrong) == ["tensors", "heads", "weights"]


@pytest.mark.parametrize(("name", "height", "width"), FORWARD)
def test_the_declared_shapes_are_the_real_ones(name: str, height: int, width: int) -> None:
    layer, shape = architecture(name), images(height, width)
    model = layer.build(shape)
    fewest = layer.smallest_training_batch(shape)
    for rows, train in ((1, False), (3, False), (fewest, True), (3, True)):
        given = model.train(train)(torch.randn(rows, 3, height, width))
        assert isinstance(given, torch.Tensor)
        assert tuple(given.shape) == layer.output_shape(shape).concrete(rows)
    assert list(layer.parameter_shapes(shape).items()) == [(k, tuple(p.shape)) for k, p in model.named_parameters()]
    if fewest == 2:
        with pytest.raises(ValueError, match="more than 1 value"):
            model.train()(torch.randn(1, 3, height, width))


@pytest.mark.parametrize("name", TOO_SMALL)
def test_images_are_refused_where_torch_refuses_them(name: str) -> None:
    entry, layer = known(name), architecture(name)
    model = zeroed(undrawn(name))
    for height, width in ((entry.least - 1, 80), (80, entry.least - 1), (entry.least, 80), (80, entry.least + 1)):
        try:
            layer.output_shape(images(max(height, 1), max(width, 1)))
            taken = True
        except ShapeError:
            taken = False
        assert accepts(model, 2, max(height, 1), max(width, 1), True) == taken
        assert accepts(model, 1, max(height, 1), max(width, 1), False) == taken


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "inception_v3", "deeplabv3_mobilenet_v3_large", "swin_t"])
def test_a_single_row_trains_where_the_check_says_so(name: str) -> None:
    entry, layer = known(name), architecture(name)
    model = zeroed(undrawn(name))
    for height in {(entry.alone or 120) - 1, entry.alone or 120}:
        shape = images(max(height, entry.least), entry.least)
        assert accepts(model, 1, max(height, entry.least), entry.least, True) == (
            layer.smallest_training_batch(shape) == 1
        )


@pytest.mark.parametrize(("name", "head"), [("resnet18", "fc"), ("densenet121", "classifier"),
    ("deeplabv3_mobilenet_v3_large", "classifier"), ("mobilenet_v3_small", "classifier")])  # fmt: skip
@pytest.mark.parametrize("trained", [(), ("features.norm5.", "layer4.1.bn2.", "features.12.1.")])
def test_a_single_row_trains_a_model_whose_norms_are_frozen(name: str, head: str, trained: tuple[str, ...]) -> None:
    entry, layer, model = known(name), architecture(name), zeroed(undrawn(name))
    for parameter_name, parameter in model.named_parameters():
        parameter.requires_grad_(parameter_name.startswith((f"{head}.", *trained)))
    frozen = [parameter_name for parameter_name, p in model.named_parameters() if not p.requires_grad]
    model.train()
    for module in still_modules(model, ()):
        module.eval()
    given = torch.zeros(1, 3, entry.least, entry.least)
    if layer.rests(frozen):
        assert model(given) is not None
    else:
        with pytest.raises(ValueError, match="more than 1 value"):
            model(given)
    assert layer.rests(frozen) == (not trained and not entry.segments)


@pytest.mark.parametrize(("name", "weights", "side"), [
    ("vit_b_32", None, 224), ("vit_b_16", "IMAGENET1K_SWAG_E2E_V1", 384), ("vit_b_16", "DEFAULT", 224),
    ("maxvit_t", None, 224),
])  # fmt: skip
def test_a_model_for_one_size_of_images_takes_no_other(name: str, weights: str | None, side: int) -> None:
    layer = architecture(name, weights)
    assert layer.output_shape(images(side)) == Shape("N", 5)
    for height, width in ((side, side - 32), (side + 32, side + 32), (side - 1, side - 1)):
        with pytest.raises(ShapeError, match=f"{name} needs images of exactly {side} × {side} pixels"):
            layer.output_shape(images(height, width))
    model = zeroed(undrawn(name))
    if weights is None:
        assert accepts(model, 1, side, side, True)
        assert not accepts(model, 1, side + 32, side + 32, False)


def test_a_vit_for_larger_images_has_more_positions() -> None:
    layer = architecture("vit_b_16", "IMAGENET1K_SWAG_E2E_V1")
    model = layer.build(images(384))
    assert layer.parameter_shapes(images(384)) == parameters(model)
    assert layer.parameter_shapes(images(384))["encoder.pos_embedding"] == (1, 577, 768)


@pytest.mark.parametrize(
    ("shape", "message", "remedy"),
    [
        (Shape("N", 784), "resnet18 needs images (N, 3, height, width)", "use data of images"),
        (
            Shape("N", 3, "H", "W"),
            "resnet18 needs images of one size",
            'write {"type": "Resize", "size": [224, 224]} in data.transforms',
        ),
        (
            Shape("N", 1, 28, 28),
            "resnet18 needs images (N, 3, height, width)",
            'write {"type": "Grayscale", "num_output_channels": 3} in data.transforms',
        ),
        (
            Shape("N", 3, 28, 28, dtype="uint8"),
            "resnet18 needs float32 numbers",
            'convert them first: {"type": "ToDtype", "dtype": "float32", "scale": true} in data.transforms',
        ),
    ],
)
def test_what_is_no_image_of_three_colours_is_refused(shape: Shape, message: str, remedy: str) -> None:
    with pytest.raises(ShapeError) as refused:
        architecture("resnet18").output_shape(shape)
    assert (refused.value.message, refused.value.remedy) == (message, remedy)


@pytest.mark.parametrize("name", ["resnet18", "vit_b_16", "squeezenet1_0", "inception_v3", "fcn_resnet50"])
def test_the_multiply_adds_are_those_that_torch_counts(name: str) -> None:
    side = known(name).cost[0]
    assert architecture(name).multiply_adds(images(side)) == multiply_adds(undrawn(name, num_classes=5), side)


@pytest.mark.parametrize("name", ["resnet18", "vit_b_16", "fcn_resnet50"])
def test_the_numbers_made_in_training_are_those_that_torch_makes(name: str) -> None:
    side = known(name).cost[0]
    assert architecture(name).made(images(side)) == made(undrawn(name, num_classes=5), side)


def test_the_memory_of_a_training_is_told_for_a_known_model() -> None:
    memory = costs(check_file("resnet50_finetune")).memory
    assert memory.activations == 32 * known("resnet50").made[0] * 4 + 32 * 2 * known("resnet50").made[1] * 4
    assert memory.total is not None


def test_a_model_is_torchvisions_own_with_its_names_and_its_draws() -> None:
    torch.manual_seed(7)
    ours = architecture("resnet18").build(images(64)).state_dict()
    torch.manual_seed(7)
    theirs = get_model("resnet18", num_classes=5).state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_segmenting_model_gives_what_torchvision_calls_out_and_holds_nothing_of_zoo() -> None:
    torch.manual_seed(7)
    ours = architecture("lraspp_mobilenet_v3_large", classes=None).build(images(40)).eval()
    torch.manual_seed(7)
    theirs = get_model("lraspp_mobilenet_v3_large", weights_backbone=None).eval()
    pixels = torch.randn(2, 3, 40, 50)
    assert torch.equal(ours(pixels), theirs(pixels)["out"])
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert not [part for part in ours.modules() if type(part).__module__.startswith("zoo")]


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which torch looks for downloaded weights."""
    monkeypatch.setattr(hub, "_hub_dir", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


# Any: options of torchvision's builder.
def put(checkpoints: Path, name: str, weights: str, **options: Any) -> nn.Module:
    """Write weights where torch would put the downloaded ones; the model they are of comes back."""
    model: nn.Module = get_model(name, **options)
    for buffer in model.buffers():
        buffer.copy_(torch.rand_like(buffer.float()) + 0.5)
    torch.save(model.state_dict(), checkpoints / os.path.basename(get_model_weights(name)[weights].url))
    return model.eval()


def loaded(name: str, weights: str, classes: int | None = 5) -> nn.Module:
    """The model with its weights, in evaluation mode."""
    return architecture(name, weights, classes).build(images(224), pretrained=True).eval()


def test_the_weights_come_without_their_head_where_there_are_other_classes(checkpoints: Path) -> None:
    theirs = put(checkpoints, "squeezenet1_1", "IMAGENET1K_V1").state_dict()
    ours = loaded("squeezenet1_1", "IMAGENET1K_V1").state_dict()
    assert {name for name in ours if not torch.equal(ours[name], theirs[name])} == {
        "classifier.1.weight", "classifier.1.bias"
    }  # fmt: skip
    assert ours["classifier.1.weight"].shape == (5, 512, 1, 1)


def test_the_weights_come_with_their_head_where_the_spec_names_no_classes(checkpoints: Path) -> None:
    theirs = put(checkpoints, "squeezenet1_1", "IMAGENET1K_V1")
    ours = loaded("squeezenet1_1", "DEFAULT", None)
    pixels = torch.randn(2, 3, 64, 64)
    assert torch.equal(ours(pixels), theirs(pixels))


def test_the_second_heads_of_the_weights_are_left_out(checkpoints: Path) -> None:
    theirs = put(checkpoints, "googlenet", "IMAGENET1K_V1", aux_logits=True, init_weights=False, transform_input=True)
    ours = loaded("googlenet", "IMAGENET1K_V1", None)
    pixels = torch.randn(2, 3, 64, 64)
    assert torch.equal(ours(pixels), theirs(pixels))
    dropped = {*theirs.state_dict()} - {*ours.state_dict()}
    assert {name.partition(".")[0] for name in dropped} == {"aux1", "aux2"}


def test_the_old_names_in_the_files_of_densenet_are_understood(checkpoints: Path) -> None:
    theirs = put(checkpoints, "densenet121", "IMAGENET1K_V1")
    file = next(checkpoints.iterdir())
    old = torch.load(file)
    for key in list(old):
        tensor = old.pop(key)
        for part in ("norm", "conv"):
            for digit in "12":
                key = key.replace(f".{part}{digit}.", f".{part}.{digit}.") if "denselayer" in key else key
        old[key] = tensor
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, file)
    ours = loaded("densenet121", "IMAGENET1K_V1", None)
    pixels = torch.randn(2, 3, 32, 32)
    assert torch.equal(ours(pixels), theirs(pixels))


def test_a_file_that_is_not_of_the_model_is_refused(checkpoints: Path) -> None:
    put(checkpoints, "squeezenet1_0", "IMAGENET1K_V1")
    own = checkpoints / os.path.basename(get_model_weights("squeezenet1_1")["IMAGENET1K_V1"].url)
    next(checkpoints.iterdir()).rename(own)
    with pytest.raises(DataError, match="is not IMAGENET1K_V1 of squeezenet1_1"):
        loaded("squeezenet1_1", "IMAGENET1K_V1")
    own.write_bytes(b"nothing")
    with pytest.raises(DataError, match="no weights IMAGENET1K_V1 of squeezenet1_1"):
        loaded("squeezenet1_1", "IMAGENET1K_V1")


def test_weights_that_cannot_be_had_are_named_with_the_place_to_put_them(
    checkpoints: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there: no network
    with pytest.raises(DataError) as refused:
        loaded("resnet50", "IMAGENET1K_V2")
    file = checkpoints / "resnet50-11ad3fa6.pth"
    assert refused.value.message.startswith(f"no weights IMAGENET1K_V2 of resnet50: {file}: ")
    assert (
        refused.value.remedy == f"download https://download.pytorch.org/models/{file.name} and put it there as {file}"
    )
    assert capsys.readouterr().out == ""


def test_an_unknown_name_gives_the_nearest() -> None:
    assert refusal(name="resnet5O") == [("name", 'torchvision has no model "resnet5O"; did you mean "resnet50"?')]


def test_unknown_weights_give_those_of_the_model() -> None:
    assert refusal(name="resnet50", weights="IMAGENET1K_V3") == [
        ("weights", 'resnet50 has no weights "IMAGENET1K_V3"; write one of: IMAGENET1K_V1, IMAGENET1K_V2, DEFAULT')
    ]


def test_a_check_reads_the_table_quickly_and_without_torch() -> None:
    code = (
        "import sys, time; from zoo.models.known import Architecture; from zoo.models.table import find;"
        "start = time.process_time(); find('vit_b_16').parameters; print(time.process_time() - start);"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    seconds, torch_is_there = done.stdout.split()
    assert float(seconds) < 0.1  # 3 ms here; a busy machine takes longer
    assert torch_is_there == "False"


def test_the_schema_lists_the_names() -> None:
    assert torchvision.model_json_schema()["properties"]["name"]["enum"] == list(names())


def test_the_table_is_small_text_one_model_a_line() -> None:
    text = (REPOSITORY / "zoo" / "models" / "torchvision.jsonl").read_text(encoding="ascii")
    assert len(text) < 400_000
    assert [json.loads(line)["name"] for line in text.splitlines()] == list(names())
