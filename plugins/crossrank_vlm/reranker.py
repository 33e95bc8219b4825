"""The reranker ``vlm``."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import crossrank as cr
from crossrank.plugin.contents import Content, content_features
from crossrank.plugin.parts import evidence
from crossrank_vlm.parameters import VlmParameters

if TYPE_CHECKING:
    from crossrank_vlm.checkpoint import Loaded
    from crossrank_vlm.passes import Passes
    from crossrank_vlm.prompts import Prompt
    from crossrank_vlm.state import VlmState

logger = logging.getLogger(__name__)

NOT_IN_SCORES = frozenset(
    {
        *("asked", "batch_tokens", "cache_budget", "device", "local_files_only", "lora", "model"),
        *("reuse", "revision"),
    }
)
FORMAT = 1
"""Of the vision outputs on disk; raised when what they are made of changes."""


class VlmReranker(cr.Reranker):
    """Asks a vision–language model whether a document answers a query.

    Both sides may be texts, pictures, or pictures with texts.  With h the hidden state at the
    prompt's last token, ``s = h · (W_yes - W_no)`` in float32, less a bias, and a sigmoid where the
    preset's authors take one; or a linear layer or a small network on h.

    A picture goes through the vision tower once, its output lies in the cache folder, and what
    pairs have in common at the beginning of their prompts goes through the language model once:
    the query where it stands first, the document where that does.  The scores are those of pairs
    scored one by one.

    The model is loaded when the first run is prepared.

    Attributes
    ----------
    encoded_images : int
        How many pictures went through the vision tower so far.
    cut_prompts : int
        How many prompts were longer than `max_length`, and were cut.

    References
    ----------
    Li et al., "Qwen3-VL-Embedding and Qwen3-VL-Reranker", 2026; Nogueira et al., "Document Ranking
    with a Pretrained Sequence-to-Sequence Model", EMNLP 2020.
    """

    info: ClassVar[cr.RerankerInfo] = cr.RerankerInfo(
        name="vlm",
        summary="a vision–language model answers yes or no: Qwen3-VL-Reranker and its kin",
        paper="Li et al., Qwen3-VL-Reranker, 2026",
        trained=True,
        thread_safe=False,
        extra="vlm",
    )
    Parameters: ClassVar[type] = VlmParameters
    params: VlmParameters

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.encoded_images = 0
        self.cut_prompts = 0
        self._loaded: dict[tuple[str, str], Loaded] = {}
        self._seen_by: dict[tuple[str, str], str] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._memory: Any = None
        self._told: set[str] = set()

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as class and parameters: a model that was loaded is loaded again."""
        params = {
            each.name: getattr(self.params, each.name) for each in fields(self.params) if each.init
        }
        return partial(type(self), **params), ()

    # the contract -------------------------------------------------------------------------------

    def fingerprint(self) -> str:
        """Return a digest of what decides the scores: the checkpoint and how it is asked."""
        rest = {
            each.name: getattr(self.params, each.name)
            for each in fields(self.params)
            if each.name not in NOT_IN_SCORES
        }
        return cr.fingerprint([type(self).__module__, type(self).__qualname__, self._weights, rest])

    @property
    def _weights(self) -> list[Any]:
        """What the checkpoint and its adapter are recognised by."""
        from crossrank_vlm.checkpoint import source_of

        source = source_of(self.params).identity(content=False)
        if self.params.lora is None:
            return source
        files = (path for path in sorted(Path(self.params.lora).glob("*")) if path.is_file())
        stats = [(path.name, path.stat()) for path in files]
        return [*source, [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]]

    def needs(self, context: cr.Context) -> cr.Needs:
        """Return texts and paths, whatever the sides are; blocks carry none."""
        queries, candidates = (
            content_features(side) for side in (context.queries, context.gallery)
        )
        return cr.Needs(queries, candidates, prepare_only=(*queries, *candidates))

    def prepare(self, context: cr.Context) -> VlmState:
        """Load the model, read what the items are, and find their pictures."""
        from crossrank_vlm.state import VlmState, items_of

        device = context.device if self.params.device is None else self.params.device
        dtype = context.dtype if self.params.dtype is None else self.params.dtype
        loaded = self.loaded(device, dtype)
        queries, candidates, pictures = items_of(context)
        shrunk = sum(loaded.family.shrinks(each.size) for each in pictures)
        if shrunk:
            self._tell(
                f"vlm: {shrunk} of {len(pictures)} pictures have more pixels than max_pixels, and "
                "are seen smaller"
            )
        kept = self._kept(context, loaded, device, dtype, [each.key for each in pictures])
        return VlmState(queries, candidates, pictures, kept, device, dtype)

    def loaded(self, device: str, dtype: str) -> Loaded:
        """Return the model on a device, loaded on first use."""
        from crossrank_vlm.checkpoint import load_checkpoint

        if (device, dtype) not in self._loaded:
            weights = self._weights  # as they are now: the files may change, the model will not
            found = load_checkpoint(self.params, device, dtype)
            pixels = dict(found.family.pictures.size)
            self._seen_by[device, dtype] = cr.fingerprint([FORMAT, weights, pixels, dtype])
            self._loaded[device, dtype] = found
        return self._loaded[device, dtype]

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Return the model's answers to a block's pairs."""
        pairs = block.pairs()
        prompts = self.prompts(state, pairs.query_rows.tolist(), pairs.candidate_rows.tolist())
        query_first = self.loaded(state.device, state.dtype).prompter.query_first
        groups = pairs.query_rows if query_first else pairs.candidate_rows
        return cr.Scores.of_pairs(pairs, self.passes(state).scores(prompts, groups.tolist()))

    def explain(self, block: cr.Block, state: Any) -> Sequence[cr.Evidence]:
        """Return for each pair where in its pictures the answer comes from.

        A link for each image token, weighted by the part of the score that flows through it:
        ``max(0, ∂s/∂v · v)`` of its vision output v, over the sum of these.
        """
        from crossrank_vlm.explaining import links_of

        pairs = block.pairs()
        scores = self.score(block, state)
        prompts = self.prompts(state, pairs.query_rows.tolist(), pairs.candidate_rows.tolist())
        passes = self.passes(state)
        query_first = self.loaded(state.device, state.dtype).prompter.query_first

        def links(pair: int) -> Sequence[cr.Link]:
            query = state.queries.contents[int(pairs.query_rows[pair])]
            candidate = state.candidates.contents[int(pairs.candidate_rows[pair])]
            names = _name(query), _name(candidate)
            return links_of(passes, state.pictures, prompts[pair], names, query_first)

        return evidence(block, scores, links)

    # the work -----------------------------------------------------------------------------------

    def prompts(
        self, state: VlmState, queries: Sequence[int], candidates: Sequence[int]
    ) -> list[Prompt]:
        """Return the prompts of some pairs, by rows of the run's collections."""
        from crossrank_vlm.prompts import Pair

        loaded = self.loaded(state.device, state.dtype)
        family, counts = loaded.family, dict[int, int]()
        pairs = []
        for query, candidate in zip(queries, candidates, strict=True):
            shown = [
                [items.pictures[row]] if row in items.pictures else []
                for items, row in ((state.queries, query), (state.candidates, candidate))
            ]
            for number in (*shown[0], *shown[1]):
                if number not in counts:
                    counts[number] = family.count(state.pictures[number].size)
            sizes = [[counts[number] for number in side] for side in shown]
            instruction = state.queries.instructions.get(query, loaded.prompter.instruction)
            pairs.append(
                Pair(
                    state.queries.contents[query],
                    state.candidates.contents[candidate],
                    instruction,
                    (sizes[0], sizes[1]),
                    (shown[0], shown[1]),
                )
            )
        found = loaded.prompter.prompts(pairs)
        cut = sum(each.cut > 0 for each in found)
        if cut:
            self.cut_prompts += cut
            self._tell(
                f"vlm: {cut} of {len(found)} prompts are longer than {self.params.asked.max_length}"
                " tokens, and the ends of their texts were cut"
            )
        return found

    def passes(self, state: VlmState) -> Passes:
        """Return what scores a run's prompts."""
        from crossrank_vlm.passes import Passes
        from crossrank_vlm.vision import Vision

        def count(images: int) -> None:
            self.encoded_images += images

        loaded = self.loaded(state.device, state.dtype)
        grids = [loaded.family.grid(each.size) for each in state.pictures]
        counts = [loaded.family.count(each.size) for each in state.pictures]
        vision = Vision(loaded, state.pictures, state.kept, count)
        return Passes(loaded, vision, grids, counts, self.params.batch_tokens, self.params.reuse)

    def _kept(
        self, context: cr.Context, loaded: Loaded, device: str, dtype: str, keys: Sequence[str]
    ) -> Any:
        """Return where vision outputs are kept: without a cache folder in memory or a file."""
        from crossrank_blip2.features import FeatureStore
        from crossrank_blip2.memory_features import MemoryFeatures

        model = self._seen_by[device, dtype]
        wanted, budget = frozenset(keys), self.params.cache_budget
        if context.cache_folder is not None:
            return FeatureStore(context.cache_folder / "vlm", model, budget, wanted)
        width = loaded.model.config.get_text_config().hidden_size
        if len(wanted) * width * 4 * 1024 <= min(budget, context.memory_budget // 8):
            self._memory = MemoryFeatures(model, wanted, self._memory)
            return self._memory
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="crossrank-vlm-")
        return FeatureStore(Path(self._folder.name), model, budget, wanted)

    def _tell(self, said: str) -> None:
        """Warn of a kind of thing once, then go on at a lower level."""
        kind = said.partition(" of ")[2].partition(" ")[2]
        logger.log(logging.INFO if kind in self._told else logging.WARNING, said)
        self._told.add(kind)


def _name(content: Content) -> str:
    parts = [content.text, None if content.path is None else content.path.name]
    return " ".join(part for part in parts if part)
