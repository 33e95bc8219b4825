"""All that a plugin is written with: the contract, and what plugins would otherwise each write.

The names below are the contract.  The rest lies in public modules of this package, each with its
own ``__all__``:

- `parameters`: checks of parameters, as values that compose
- `pairs`: the pairs of a block, the sides of a run
- `contents`: what the items of a collection say and show
- `parts`: parts of an item, and evidence for `Reranker.explain`
- `cached_array`: a table kept in the cache folder, in memory or in a scratch file
- `files`: files that appear when they are complete, JSON lines, digests of files
- `optional`: optional packages, and names that are imported on first use
- `items`: what a caller hands over, read as items
- `encoders`: an encoder given by name, class or object
- `hub`: a checkpoint from the model hub or a folder
- `torch_weights`: weights in safetensors; `trained`: features that they were not trained on
- `torch_device`: computing on the run's device; `torch_pairs`: pairs of ragged items there;
  `torch_projection`: their vectors put through a head once per run
- `hookspecs`: the hooks; `registry`: what is installed

None of them imports torch before it is asked to compute, but for `torch_pairs`.
"""

from crossrank._lists.evidence import Evidence, Link
from crossrank._progress import as_progress
from crossrank.plugin.contract import (
    Block,
    Context,
    Encoder,
    EncoderInfo,
    Feature,
    Needs,
    NoParameters,
    Pairs,
    Progress,
    Reranker,
    RerankerInfo,
    Scores,
    Side,
    State,
)
from crossrank.plugin.hookspecs import hookimpl
from crossrank.plugin.registry import register

__all__ = [
    "Block",
    "Context",
    "Encoder",
    "EncoderInfo",
    "Evidence",
    "Feature",
    "Link",
    "Needs",
    "NoParameters",
    "Pairs",
    "Progress",
    "Reranker",
    "RerankerInfo",
    "Scores",
    "Side",
    "State",
    "as_progress",
    "hookimpl",
    "register",
]
