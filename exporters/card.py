"""The model card: README.md of a bundle, for whoever receives it without zoo."""

from __future__ import annotations

import json
from collections.abc import Sequence

from exporters import features
from exporters.certificate import FormatProof
from exporters.reduced import RULE, ReducedProof
from exporters.subject import Raw, Subject
from zoo.shapes import Shape, class_axis


def render(subject: Subject, proofs: Sequence[FormatProof], reduced: Sequence[ReducedProof] = ()) -> str:
    """Return the card as Markdown: what it is, what goes in and comes out, how to run it, what was proven."""
    spec = subject.checked.spec
    sections = [
        "\n\n".join(filter(None, (f"# {spec.name}", spec.summary, _origin(subject)))),
        f"## Input and output\n\n{_interface(subject)}",
        f"## Run it\n\n{_snippets(subject, proofs)}",
        f"## Proof\n\n{_proof(proofs)}",
        *((f"## Lower precision\n\n{_reduced(reduced)}",) if reduced else ()),
        f"## Spec\n\n```json\n{json.dumps(spec.portable(), indent=2, ensure_ascii=False)}\n```",
    ]
    return "\n\n".join(sections) + "\n"


def _origin(subject: Subject) -> str:
    if subject.origin == "untrained":
        return "**Not trained**: the weights are fresh from the seed."
    data = type(subject.checked.spec.data).__name__
    numbers = [
        f"| {key.replace('_', ' ')} | {value:.6g} |" for key, value in subject.metrics.items() if key != "seconds"
    ]
    return f"Trained on {data}; measured when these weights were kept:\n\n| | |\n|---|---|\n" + "\n".join(numbers)


def _interface(subject: Subject) -> str:
    checked = subject.checked
    lines = [f"* `{subject.input_name}`: {_form(subject.input)}; {_free(subject.input)}."]
    lines += [f"* `{output.name}`: {_form(output.shape)}." for output in subject.outputs]
    steps = [json.dumps(transform.document()) for transform in checked.spec.data.pipeline()]
    steps = steps or [json.dumps(step) for step in features.scaling(checked)]
    named = features.names(checked)
    if named and subject.raw is None:
        said = ", ".join(f"{index}: {name}" for index, name in enumerate(named))
        lines.append(
            f"* The numbers of a row: {said}. For a word, 1 stands at its place and 0 at the others of its column."
        )
    if subject.raw is not None:
        lines += _inside(subject.raw)
    elif steps:
        lines.append(f"* Before: {checked.example.input}, then " + ", then ".join(f"`{step}`" for step in steps) + ".")
    if told := features.told_tokens(checked):
        lines.append(told)
    if checked.example.classes:
        names = ", ".join(f"{index}: {name}" for index, name in enumerate(checked.example.classes))
        axis = class_axis(subject.outputs[0].shape, checked.example.target)
        place = "" if axis is None else f" along axis {axis} of `{subject.output_name}`"
        lines.append(f"* The classes{place}: {names}.")
    return "\n".join(lines)


def _inside(raw: Raw) -> list[str]:
    """Return what the file does itself before the model, and what it takes for that."""
    lines = []
    if raw.columns:
        cells = [
            name + (f" ({', '.join(f'{number}: {word}' for number, word in enumerate(words))})" if words else "")
            for name, words in raw.columns.items()
        ]
        lines.append(
            f"* The columns of the input: {', '.join(cells)}. Another number is no word, and gives only zeros."
        )
    if raw.steps:
        lines.append(f"* Inside the file: {', then '.join(f'`{step}`' for step in raw.steps)}.")
    return lines


def _form(shape: Shape) -> str:
    return f"{shape.with_dtype('float32')}, {shape.dtype}"  # a shape of float32 says its axes alone


def _free(shape: Shape) -> str:
    """Return what the symbols of a shape stand for."""
    longest = f", T any length up to {shape.longest}" if "T" in shape.dims else ""
    return f"N is any batch size{longest}"


def _snippets(subject: Subject, proofs: Sequence[FormatProof]) -> str:
    given = subject.input
    names = [output.name for output in subject.outputs]
    asked = ", ".join(f'"{name}"' for name in names)
    answer = f'session.run([{asked}], {{"{subject.input_name}": {subject.input_name}}})'
    zeros = f"{subject.input_name} = numpy.zeros({list(given.concrete(1))}, numpy.{given.dtype})"
    code = {
        "onnx": f"import numpy\nimport onnxruntime\n\n{zeros}\n"
        'session = onnxruntime.InferenceSession("model.onnx")\n'
        + (
            f"print({answer}[0])"
            if len(names) == 1
            else f"for name, array in zip([{asked}], {answer}):\n    print(name, array)"
        ),
        "torchscript": f"import numpy\nimport torch\n\n{zeros}\n"
        'model = torch.jit.load("model.torchscript")\n'
        f"print(model(torch.from_numpy({subject.input_name})))",
        "pt2": f"import numpy\nimport torch\n\n{zeros}\n"
        'model = torch.export.load("model.pt2").module()\n'
        f"print(model(torch.from_numpy({subject.input_name})))",
    }
    return "\n\n".join(f"```python\n{code[proof.format]}\n```" for proof in proofs)


def _proof(proofs: Sequence[FormatProof]) -> str:
    lines = ["| file | run by | largest error from float64 | allowed |", "|---|---|---|---|"]
    for proof in proofs:
        for execution in proof.telling:
            found, how = execution.whole, f"{execution.runtime} {execution.version}, {execution.mode}"
            lines.append(f"| {proof.file} | {how} | {found.file_max:.3g} | {found.max_limit:.3g} |")
    return "\n".join(lines) + "\n\nEvery number is in `certificate.json`; `test_data_set_0` holds rows to try."


def _reduced(reduced: Sequence[ReducedProof]) -> str:
    lines = [
        "| file | size | metric | float32 | this file | rms error of the outputs | allowed |",
        "|---|---|---|---|---|---|---|",
    ]
    for proof in reduced:
        for loss in proof.losses:
            numbers = f"{loss.fp32:.6g} | {loss.file:.6g} | {proof.error:.3g} | {proof.allowed:.3g}"
            lines.append(f"| {proof.file} | {100 * proof.share:.0f} % | {loss.name} | {numbers} |")
    said = "".join(f"\n\nNothing is gained: {text}." for text in filter(None, (proof.larger for proof in reduced)))
    return "\n".join(lines) + f"{said}\n\nThey are run as model.onnx is. What had to hold: {RULE}."
