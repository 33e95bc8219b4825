"""Both branches of CORA in one space, and the file that holds them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from crossrank.plugin.torch_weights import WeightsFile
from crossrank_cora.packed import PackedGraphs
from crossrank_cora.picture_branch import PictureBranch
from crossrank_cora.text_branch import TextBranch
from crossrank_lite.heads import Standardise

WEIGHTS = WeightsFile(
    "cora",
    "crossrank-cora/1",
    "weights of cora",
    "give the path of weights written by research/train_cora.py",
)


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
    """Write the network as float16; see `WeightsFile.save`."""
    WEIGHTS.save(network, network.sizes, path, half=True)


def load_network(path: Path) -> Cora:
    """Read a network, in evaluation mode and float32; see `WeightsFile.load`."""
    return WEIGHTS.load(path, lambda sizes: Cora(Sizes(**sizes)))
