"""Weights in safetensors: written and read as one pair, every fault one `StoreError`.

A plugin says once what its files are, as a `WeightsFile`, and saves and loads models with it::

    HEADS = WeightsFile("mine", "mine-heads/1", "heads of mine", "train some with train_mine.py")

    HEADS.save(heads, heads.sizes, path)
    heads = HEADS.load(path, lambda sizes: Heads(Sizes(**sizes)))

torch is imported when something here is called.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from crossrank._files.atomic import atomic_bytes
from crossrank._files.parsing import check_regular
from crossrank.errors import CrossrankError, StoreError

if TYPE_CHECKING:
    from torch import Tensor, nn

Model = TypeVar("Model", bound="nn.Module")


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """What a plugin's files of weights are, and how they are spoken of.

    Parameters
    ----------
    who
        The plugin.
    format
        Name and version of the format, as the file holds it: ``"crossrank-hosa-heads/1"``.
    holds
        What is in it, in the plural: ``"heads of hosa"``.
    mend
        Where another one comes from, an imperative: ``"train some with train_mine.py"``.
    """

    who: str
    format: str
    holds: str
    mend: str

    def save(self, model: nn.Module, sizes: Any, path: str | Path, *, half: bool = False) -> None:
        """Write a model's weights; the file appears when it is complete.

        Parameters
        ----------
        model
            Its state is written.
        sizes
            What `load` builds the model anew from: a dataclass, or a mapping that JSON can hold.
        path
            Where; what is there is replaced.
        half
            Whether to store float16.

        Raises
        ------
        StoreError
            If the file cannot be written.
        """
        described = dict(sizes) if isinstance(sizes, Mapping) else asdict(sizes)
        tensors = {
            name: each.half() if half and each.is_floating_point() else each
            for name, each in model.state_dict().items()
        }
        # one entry only: safetensors writes several in an order that changes from run to run
        write_tensors(path, tensors, {self.format: json.dumps(described)})

    def load(self, path: str | Path, build: Callable[[Mapping[str, Any]], Model]) -> Model:
        """Read a model, in evaluation mode, in float32 and without gradients.

        Parameters
        ----------
        path
            What `save` wrote.
        build
            Makes the untrained model of its sizes; whatever it raises but a `CrossrankError` means
            that the sizes are not ones of this plugin.

        Raises
        ------
        StoreError
            If the file is missing, damaged, of another kind, or its weights do not fit the model.
        """
        metadata, tensors = read_tensors(self.who, path, self.mend)
        if self.format not in metadata:
            raise StoreError(f"{self.who}: {path} holds no {self.holds}; {self.mend}")
        try:
            sizes = json.loads(metadata[self.format])
            widened = {name: _widened(each) for name, each in tensors.items()}
            check_shapes(build, sizes, widened)
            model = build(sizes)
            model.load_state_dict(widened)
        except CrossrankError:
            raise
        except Exception as error:  # KeyError, TypeError, RuntimeError: by what is foreign in it
            raise StoreError(
                f"{self.who}: {path} holds {self.holds} that do not fit: {_in_one_line(error)}; "
                f"{self.mend}"
            ) from error
        return model.eval().requires_grad_(False)


def check_shapes(
    build: Callable[[Mapping[str, Any]], nn.Module],
    sizes: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
) -> None:
    """Refuse sizes that the tensors do not have, before memory is taken for them.

    Parameters
    ----------
    build
        Makes a model of its sizes; called where tensors have shapes only.
    sizes, tensors
        What a file says of the model, and what it holds.

    Raises
    ------
    ValueError
        Naming the first tensor that is missing, too much or of another shape.
    """
    import torch

    with torch.device("meta"):
        state = build(sizes).state_dict()
    wanted = {name: tuple(each.shape) for name, each in state.items()}
    held = {name: tuple(each.shape) for name, each in tensors.items()}
    wrong = [
        name for name in sorted(wanted.keys() | held.keys()) if wanted.get(name) != held.get(name)
    ]
    if wrong:
        name = wrong[0]
        raise ValueError(
            f"{name!r} has the shape {held.get(name)}, and by its sizes {wanted.get(name)}"
        )


def write_tensors(
    path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors as safetensors; the file appears when it is complete.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    from safetensors.torch import save

    # as bytes: safetensors itself makes files that their owner alone may read
    ready = {name: each.detach().cpu().contiguous() for name, each in tensors.items()}
    atomic_bytes(Path(path), save(ready, metadata=dict(metadata) if metadata else None))


def read_tensors(who: str, path: str | Path, mend: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return the metadata and the tensors of a safetensors file.

    Parameters
    ----------
    who
        The plugin, for the message.
    path
        The file.
    mend
        What would help, an imperative.

    Raises
    ------
    StoreError
        If it is missing, damaged or no such file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise StoreError(f"{who}: {path} cannot be read: {_in_one_line(error)}; {mend}") from error
    return metadata, tensors


def read_state_dict(who: str, path: str | Path, holds: str) -> dict[str, Tensor]:
    """Return somebody else's weights: what ``torch.save`` or safetensors wrote; nothing in it runs.

    Parameters
    ----------
    who
        The plugin, for the message.
    path
        The file; ``.safetensors`` is read as such.  A state dict may lie below ``"state_dict"``, as
        trainers keep it, and its names may begin with ``"module."``, which is left out, as is what
        is no tensor.
    holds
        What the file should be, for the message: ``"released checkpoint"``.

    Raises
    ------
    StoreError
        If it is missing, damaged, or holds no tensors by name.
    """
    import torch

    try:
        check_regular(Path(path))
        if Path(path).suffix == ".safetensors":
            from safetensors.torch import load_file

            held: Any = load_file(path)
        else:
            held = torch.load(path, map_location="cpu", weights_only=True)
        if isinstance(held, Mapping) and isinstance(held.get("state_dict"), Mapping):
            held = held["state_dict"]
        found = {
            str(name).removeprefix("module."): value
            for name, value in (held.items() if isinstance(held, Mapping) else ())
            if isinstance(value, torch.Tensor)
        }
        if not found:
            raise ValueError(f"it holds a {type(held).__name__} without tensors by name")
    except Exception as error:  # pickle, zip and safetensors bring exceptions of their own
        raise StoreError(
            f"{who}: {path} is no {holds} that can be read safely: {_in_one_line(error)}"
        ) from error
    return found


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _in_one_line(error: Exception) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= 200 else f"{said[:200]} …"


__all__ = ["WeightsFile", "check_shapes", "read_state_dict", "read_tensors", "write_tensors"]
