"""Augmentation: the Python text of transforms, those that are the same for every epoch and those that are drawn."""

from __future__ import annotations

from zoo.checked import CheckedSpec
from zoo.data.data import Data
from zoo.data.image_folder import ImageFolder
from zoo.data.image_source import ImageSource
from zoo.eject.constructor import transform_call

SEEDED = '''
@contextmanager
def seeded(key: str) -> Iterator[None]:
    """Let torch draw numbers that follow from the key; then it goes on as if nothing had been drawn."""
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    with torch.random.fork_rng():
        torch.manual_seed(int.from_bytes(digest, "little"))
        yield
'''
AUGMENTED = '''
class Augmented(Dataset):
    """Rows whose images are changed at random; what is drawn for a row follows from the epoch and the row alone."""

    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        self.inputs, self.targets, self.epoch = inputs, targets, 0

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        with seeded(f"{SEED * 2**32 + self.epoch}/{row}"):
            return AUGMENTATION(self.inputs[row].clone()), self.targets[row]
'''


def augments(data: Data) -> bool:
    """Return whether images are changed one by one at random."""
    return any(transform.level != "batch" for transform in data.random())


def mixes(data: Data) -> bool:
    """Return whether images and targets of a batch are mixed."""
    return any(transform.level == "batch" for transform in data.random())


def finishes(data: Data) -> bool:
    """Return whether something is left to do with the batches of training."""
    return bool(data.random() and data.late())


def augmentation_source(checked: CheckedSpec) -> str:
    """Return the random transforms and what follows them; empty where the spec has none."""
    data = checked.spec.data
    parts = []
    if augments(data):
        calls = [transform_call(one) for one in data.random() if one.level != "batch"]
        parts.append(_composed("AUGMENTATION", calls, "of each image of the training split"))
    if finishes(data):
        calls = [transform_call(one) for one in data.late()]
        parts.append(_composed("FINISH", calls, "of all images, after the augmentation"))
    if mixes(data):
        classes = len(checked.example.classes)
        calls = [transform_call(one.with_classes(classes)) for one in data.random() if one.level == "batch"]
        parts.append(_composed("MIX", calls, "of the batches of training"))
    functions = [SEEDED.strip("\n")] if data.random() else []
    functions += [AUGMENTED.strip("\n")] if augments(data) else []
    return "\n\n\n".join(["\n".join(parts), *functions] if parts else functions)


def _composed(name: str, calls: list[str], said: str) -> str:
    lines = [f"{name} = v2.Compose([  # {said}", *(f"    {call}," for call in calls), "])"]
    return "\n".join(lines)


def early_lines(data: Data) -> list[str]:
    """Return the lines of the transforms before the augmentation; a folder's images have had them one by one."""
    return [f"    inputs = {transform_call(one)}(inputs)" for one in data.early()]


def late_lines(data: Data) -> list[str]:
    """Return the lines of the transforms behind the place of the augmentation."""
    if finishes(data):
        return ['    if split != "train":', "        inputs = FINISH(inputs)"]
    return [f"    inputs = {transform_call(one)}(inputs)" for one in data.late()]


def loaded(data: ImageFolder) -> list[str]:
    """Return the lines of what an image goes through before it is put beside others; none where that is nothing."""
    calls = [transform_call(one) for one in ImageSource.early(data)]
    composed = ["    prepare = v2.Compose([", *(f"        {call}," for call in calls), "    ])"]
    return [f"    prepare = {calls[0]}"] if len(calls) == 1 else composed if calls else []
