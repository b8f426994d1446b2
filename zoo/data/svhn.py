"""SVHN: house numbers on photographs, colour images of 32×32 pixels, read by torchvision and scipy."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from zoo.data.data import Rows, Split
from zoo.data.downloaded import Downloaded
from zoo.errors import DataError, reason
from zoo.files import no_empty_folders


class SVHN(Downloaded):
    """The 99,289 digits of house numbers of Netzer and others; without the extra rows. Reading them needs scipy.

    Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.SVHN.html
    """

    type: Literal["SVHN"]

    def class_names(self) -> tuple[str, ...]:
        """Return "0" to "9"."""
        return tuple("0123456789")

    def published_rows(self) -> int:
        """Return 73,257."""
        return 73_257

    def paths(self) -> tuple[Path, ...]:
        """Return the file of each split."""
        return tuple(Path(self.root) / f"{part}_32x32.mat" for part in ("train", "test"))

    def load(self, split: Split) -> Rows:
        """Return images as uint8 of (N, 3, 32, 32) and labels as int64 of (N,).

        Raises:
            DataError: the file is absent and not to be downloaded, is not the published one, or scipy is not here.
        """
        import torch
        from torchvision import datasets

        part = "test" if split == "test" else "train"
        file = Path(self.root) / f"{part}_32x32.mat"
        self.require([file])
        try:
            with no_empty_folders(Path(self.root)):
                found = datasets.SVHN(self.root, split=part, download=self.download)
        except ImportError as error:
            raise DataError(f"reading {file} needs scipy, which is not here", "pip install scipy") from error
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            remedy = "remove the file and fetch it again (data.download: true)"
            raise DataError(f"cannot read {file}: {reason(error)}", remedy) from error
        images = torch.from_numpy(found.data).contiguous()  # (N, 3, 32, 32)
        return self.choose(Rows(images, torch.from_numpy(found.labels)), split)
