"""Certificate: what was checked on the exported files, with the numbers; it has its own JSON Schema."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from exporters.decided import Decisions
from exporters.questions import GoldenRecord
from exporters.reduced import ReducedProof
from exporters.tolerance import Comparison, Verdict
from zoo.strict import Count, Strict

if TYPE_CHECKING:
    import torch

FILE_NAME = "certificate.json"

Format = Literal["onnx", "torchscript", "pt2"]


class FileRecord(Strict):
    """A file of the bundle."""

    name: str
    """Path inside the bundle."""
    sha256: str
    """Hash of its bytes."""
    bytes: int
    """Its size."""


class Execution(Strict):
    """A file run on the golden batches, in a process that has nothing of zoo."""

    runtime: str
    """The program that ran it."""
    version: str
    """Its version."""
    mode: str
    """How: "optimised" or "unoptimised" for onnxruntime."""
    bit_equal: bool
    """The outputs are those of torch's float32, bit for bit."""
    comparisons: tuple[Comparison, ...]
    """The outputs held against the module in float64: over all batches, then for each batch and probe."""

    @property
    def whole(self) -> Comparison:
        """Return the comparison over all batches."""
        return self.comparisons[0]


class TargetProof(Strict):
    """A program that an ONNX file is for."""

    name: str
    """As it was asked for."""
    shown: str
    """What the proof shows of it."""


class Drawn(Strict):
    """What the file is with other weights in the place of its own, held against the module with the same."""

    reason: str
    """Why its own prove nothing."""
    float64_error: float | None
    """Largest difference of the graph in float64 from R64, over S = max|R64|."""
    executions: tuple[Execution, ...]
    """Each way it was run."""


class FormatProof(Strict):
    """One exported file and what was proven of it."""

    format: Format
    """Its format."""
    file: str
    """Its name in the bundle."""
    opset: int | None = None
    """Operator set of an ONNX file."""
    ir: int | None = None
    """Version of its file format."""
    targets: tuple[TargetProof, ...] = ()
    """Programs that the ONNX file is for."""
    weights: int | None = None
    """Tensors of the file that are the model's bit for bit."""
    float64_error: float | None = None
    """Largest difference of the graph in float64 from R64, over S = max|R64|."""
    decisions: Decisions | None = None
    """What a person would conclude from the answers to held-out rows."""
    drawn: Drawn | None = None
    """Where the weights prove nothing themselves, fresh ones say, what drawn ones do in the module and in the file."""
    export_seconds: float = 0.0
    """What the export took."""
    proof_seconds: float = 0.0
    """What its proof took."""
    rule: str
    """What had to hold."""
    executions: tuple[Execution, ...]
    """Each way it was run."""
    verdict: Verdict
    """The worst of its executions."""
    reason: str = ""
    """Why the verdict is not "equal"."""

    @property
    def telling(self) -> tuple[Execution, ...]:
        """Return the executions that prove something."""
        return self.executions if self.drawn is None else self.drawn.executions


class Certificate(Strict):
    """What was checked on a bundle."""

    certificate_version: Literal[5]
    """Version of this format."""
    name: str
    """Name of the spec."""
    spec_sha256: str
    """Hash of the spec."""
    origin: Literal["trained", "untrained"]
    """Whether the weights come from a training or fresh from the seed."""
    weights_sha256: str
    """Hash over names, dtypes, shapes and bytes of the module's tensors, sorted by name."""
    batches: tuple[int, ...]
    """Rows of each golden batch: 1, 2, 3, 4, 7 and 64; of a model whose rows cost much, 1, 2, 3 and 4 or more.

    Such a model is asked less elsewhere too: torch's float32 is of single rows where only ONNX is proven, the probes
    are two rows, what last bits move is measured of probes far from the held-out rows only, and one row of each
    length and one probe are computed in float64 by the graph.
    """
    truth_seconds: float = 0.0
    """What the module's own answers to the questions took, in float64 and in float32."""
    created: str
    """When, in UTC."""
    versions: dict[str, str]
    """What it was made with."""
    proofs: tuple[FormatProof, ...]
    """One for each exported file."""
    golden: GoldenRecord
    """The questions that the proof is repeated with."""
    threads: Count
    """Threads of torch when it answered; its last bits depend on them."""
    reduced: tuple[ReducedProof, ...] = ()
    """One for each file of lower precision, judged by what it loses beside float32."""
    files: tuple[FileRecord, ...]
    """Every other file of the bundle."""
    sha256: str = ""
    """Hash of this document as it is written with nothing here, so that a changed letter is found."""


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of certificate.json."""
    schema = Certificate.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def write(certificate: Certificate, folder: Path) -> None:
    """Write certificate.json after holding it against its schema."""
    import jsonschema  # not at the top: who verifies needs no such package

    jsonschema.validate(certificate.document(), json_schema())
    (folder / FILE_NAME).write_text(text(certificate), encoding="utf-8")


def text(certificate: Certificate) -> str:
    """Return a certificate as it is written."""
    return json.dumps(certificate.document(), indent=2, ensure_ascii=False) + "\n"


def sealed(certificate: Certificate) -> Certificate:
    """Return the certificate with the hash of itself."""
    blank = certificate.model_copy(update={"sha256": ""})
    return blank.model_copy(update={"sha256": hashlib.sha256(text(blank).encode()).hexdigest()})


def read(folder: Path) -> Certificate:
    """Return the certificate of a bundle."""
    return Certificate.model_validate_json((folder / FILE_NAME).read_bytes())


def records(folder: Path) -> tuple[FileRecord, ...]:
    """Return every file below `folder` but the certificate, sorted by name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != FILE_NAME)
    return tuple(_record(path, folder) for path in files)


def _record(path: Path, folder: Path) -> FileRecord:
    name = path.relative_to(folder).as_posix()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileRecord(name=name, sha256=digest, bytes=path.stat().st_size)


def weights_sha256(state: dict[str, torch.Tensor]) -> str:
    """Return the hash over names, dtypes, shapes and bytes of the tensors, sorted by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
