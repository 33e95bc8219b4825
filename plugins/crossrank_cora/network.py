"""Both branches of CORA in one space, and the file that holds them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from crossrank.errors import StoreError
from crossrank_cora.packed import PackedGraphs
from crossrank_cora.picture_branch import PictureBranch
from crossrank_cora.text_branch import TextBranch
from crossrank_lite.heads import Standardise

FORMAT = "crossrank-cora/1"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the network is, and what it reads.

    Parameters
    ----------
    region, phrase
        Sizes of a region's raw features and of a phrase's vector.
    dim, heads, hidden
        Of the shared space, of every attention, and of the regions' perceptron.
    places
        Whether an object's place in the caption counts, see `TextBranch`.
    encoder
        The encoder whose features it was trained on, as `crossrank.Collection.encoder` names it;
        empty where that does not matter.
    """

    region: int = 1280
    phrase: int = 384
    dim: int = 384
    heads: int = 16
    hidden: int = 256
    places: bool = False
    encoder: str = ""


class Cora(nn.Module):
    """Pictures, captions and entities as unit rows of one space; a score is their product.

    Regions and phrases are standardised as on the training split.

    Parameters
    ----------
    sizes : Sizes
        How large it is.
    dropout : float
        In training: of the input features of regions; of phrases and edges half as much again.

    References
    ----------
    Pham et al., "Composing Object Relations and Attributes for Image-Text Matching", CVPR 2024.
    """

    def __init__(self, sizes: Sizes, dropout: float = 0.0) -> None:
        super().__init__()
        self.sizes = sizes
        self.of_regions = Standardise(sizes.region)
        self.of_phrases = Standardise(sizes.phrase)
        self.pictures = PictureBranch(sizes.region, sizes.dim, sizes.heads, sizes.hidden, dropout)
        self.texts = TextBranch(sizes.phrase, sizes.dim, sizes.heads, sizes.places, 1.5 * dropout)

    def see(self, regions: Tensor, lengths: Tensor, places: Tensor | None = None) -> Tensor:
        """Return ``[B, dim]`` unit rows of pictures; see `PictureBranch.forward`."""
        return functional.normalize(
            self.pictures(self.of_regions(regions), lengths, places), dim=-1
        )

    def read(self, graphs: PackedGraphs, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit rows of entities ``[O, dim]`` and captions ``[G, dim]``.

        The row of a caption without objects is zero.  The vectors ``[P, phrase]`` are the raw ones
        of the graphs' phrases.
        """
        entities, captions = self.texts(graphs, self.of_phrases(vectors))
        return functional.normalize(entities, dim=-1), functional.normalize(captions, dim=-1)


def save_network(network: Cora, path: Path) -> None:
    """Write the network as float16 under a name that appears when the file is complete."""
    tensors = {name: each.half().contiguous() for name, each in network.state_dict().items()}
    partial = path.with_name(f".{path.name}.partial")
    # one entry only: safetensors writes several in an order that changes from run to run
    save_file(tensors, partial, metadata={FORMAT: json.dumps(asdict(network.sizes))})
    partial.chmod(0o644)  # safetensors makes it readable by its owner alone
    partial.replace(path)


def load_network(path: Path) -> Cora:
    """Read a network, in evaluation mode and float32.

    Raises
    ------
    StoreError
        If the file is missing, truncated or something else.
    """
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(FORMAT)
            if text is None:
                raise StoreError(
                    f"cora: {path} holds no weights of cora; write them with research/train_cora.py"
                )
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise StoreError(
            f"cora: {path} cannot be read: {error}; give the path of weights written by "
            "research/train_cora.py, or install crossrank again"
        ) from error
    network = Cora(Sizes(**json.loads(text)))
    network.load_state_dict(tensors)
    return network.eval().requires_grad_(False)
