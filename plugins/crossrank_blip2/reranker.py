"""The reranker ``blip2``."""

from __future__ import annotations

import logging
import tempfile
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.plugin.encoding import CutTexts
from crossrank.plugin.optional import loaded, needs
from crossrank_blip2.backend import Backend
from crossrank_blip2.contrast import contrast
from crossrank_blip2.counting import Counter
from crossrank_blip2.features import FeatureStore
from crossrank_blip2.fingerprints import weights_digest
from crossrank_blip2.loading import source_of
from crossrank_blip2.memory_features import MemoryFeatures
from crossrank_blip2.parameters import Blip2Parameters
from crossrank_blip2.preparing import image_bytes, images_of, room_of, texts_of
from crossrank_blip2.sizes import parse_bytes
from crossrank_blip2.state import Blip2State, Images
from crossrank_blip2.texts import MOST_TOKENS, MOST_WORDS
from crossrank_blip2.vision import Vision

if TYPE_CHECKING:
    from crossrank_blip2.passes import Embeds, Passes

logger = logging.getLogger(__name__)

Rows = NDArray[np.int64]

NOT_IN_SCORES = frozenset(
    (
        *("model", "tokenizer", "revision", "local_files_only", "device", "batch_size"),
        *("cache_budget", "on_picture"),
    )
)
FORMAT = 1
"""Of the features on disk; raised when what they are made of changes."""

REASON = "the text has no word, or the picture cannot be read"


class Blip2Reranker(cr.Reranker):
    """BLIP-2's image–text contrast (ITC) and image–text matching (ITM).

    With the learned queries q of an image and a text t, ``ITC = max over q of ⟨u_q, t⟩`` (not
    divided by the temperature) and ``ITM = mean over q of itm_head(h_q)[1]``, the raw logit.
    BLIP-2 ranks the best of the base search by their sum.

    The model is loaded when the first run is prepared.  The vision output is computed once per
    image, and lies in the cache folder.

    Attributes
    ----------
    encoded_images : int
        How many images went through the vision encoder so far.

    References
    ----------
    Li et al., "BLIP-2: Bootstrapping Language-Image Pre-training with Frozen Image Encoders and
    Large Language Models", ICML 2023.
    """

    info: ClassVar[cr.RerankerInfo] = cr.RerankerInfo(
        name="blip2",
        summary="BLIP-2's contrast and matching scores (ITC, ITM), by transformers or LAVIS",
        paper="Li et al., BLIP-2, ICML 2023",
        query_features=("text",),
        candidate_features=("path",),
        directions=("t2i", "i2t"),
        trained=True,
        thread_safe=False,
        extra="blip2",
    )
    Parameters: ClassVar[type] = Blip2Parameters
    params: Any

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.encoded_images = 0
        self._cut = CutTexts("blip2", logger)
        self._backends: dict[tuple[str, str], Backend] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._memory: MemoryFeatures | None = None
        self._limits: dict[str, int] = {}
        self._pairs = Counter()

    @property
    def cut_texts(self) -> int:
        """How many texts were longer than the model reads, and were cut."""
        return self._cut.count

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as class and parameters: a model that was loaded is loaded again."""
        params = {each.name: getattr(self.params, each.name) for each in fields(self.params)}
        return partial(type(self), **params), ()

    # what a subclass may change ---------------------------------------------------------------

    def intervention(
        self, state: Blip2State, image_rows: Rows, image_embeds: Embeds
    ) -> AbstractContextManager[None]:
        """Return what surrounds a pass of the Q-Former over images; here nothing.

        Every cross-attention that this reranker computes lies within one of these, in `prepare` for
        ITC (where `state` has no `image_queries` yet) and in `score` for ITM.

        Parameters
        ----------
        state
            With what `extra_state` returned as ``state.extra``.
        image_rows
            ``[B]`` rows of the run's collection of images, one per row of the batch; an image
            stands in a batch once per pair.
        image_embeds
            Called with n rows of the batch, returns the vision output ``[n, N, D]`` that the
            cross-attentions get there.
        """
        return nullcontext()

    def image_features(self, images: cr.Collection) -> tuple[str, ...]:
        """Return the features of images that `extra_state` reads besides ``path``."""
        return ()

    def extra_state(self, context: cr.Context, images: cr.Collection, rows: Rows) -> Any:
        """Return what `intervention` is to find as ``state.extra``.

        Parameters
        ----------
        context
            The run.
        images
            Its collection of images.
        rows
            ``[N]`` the rows that occur in candidate lists.
        """
        return None

    # the contract -------------------------------------------------------------------------------

    def fingerprint(self) -> str:
        """Return a digest of what decides the scores; a model object counts by its weights."""
        rest = {
            each.name: getattr(self.params, each.name)
            for each in fields(self.params)
            if each.name not in NOT_IN_SCORES
        }
        parts = [
            _identity(self.params.model, self.params.revision),
            _identity(self.params.tokenizer),
        ]
        return cr.fingerprint([type(self).__module__, type(self).__qualname__, parts, rest])

    def needs(self, context: cr.Context) -> cr.Needs:
        """Return texts and the paths of images, whichever side they are on; blocks carry none."""
        images = context.gallery if context.direction == "t2i" else context.queries
        of_images = ("path", *self.image_features(images))
        once = ("text", *of_images)
        return cr.Needs.by_modality(context.direction, ("text",), of_images, prepare_only=once)

    def backend(self, state: Blip2State | cr.Context) -> Backend:
        """Return the model of a run, loaded on first use."""
        params = self.params
        device = state.device if params.device is None else params.device
        dtype = state.dtype if params.dtype is None else params.dtype
        if (device, dtype) not in self._backends:
            backend_of = _needing_torch(self.info, "backends").backend_of
            self._backends[device, dtype] = backend_of(
                params.model,
                params.tokenizer,
                revision=params.revision,
                local_files_only=params.local_files_only,
                device=device,
                dtype=dtype,
            )
        return self._backends[device, dtype]

    def prepare(self, context: cr.Context) -> Blip2State:
        """Compute the vision output of all images that is not cached, and what ITC compares."""
        torch = _needing_torch(self.info, "torch")
        images = images_of(context.images, self.params.on_picture)
        backend = self.backend(context)
        texts = texts_of(backend, context.texts)
        limit = f"the {MOST_WORDS} words and {MOST_TOKENS} tokens that the model reads"
        self._cut.add(texts.tokens.cut, len(texts.lengths), limit)
        self._pairs = Counter(context.progress, "blip2: pairs", int(context.lists.mask.sum()))
        state = Blip2State(
            images=images,
            texts=texts,
            store=self._store(backend, context, images),
            device=context.device,
            dtype=context.dtype,
            room=room_of(backend, context.memory_budget, self.params.batch_size),
            extra=self.extra_state(context, context.images.collection, images.rows),
        )
        seen = Counter(context.progress, "blip2: images", len(images.keys))
        with torch.inference_mode():
            passes = self._passes(state, seen)
            if "itc" not in self.params.score or not (len(images.rows) and len(texts.lengths)):
                passes.see(seen.reach)
                return state
            queries = passes.image_queries(seen.reach)
            return replace(state, image_queries=queries, text_embeddings=passes.text_embeddings())

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Return ITC, ITM or their sum; abstain from texts without a word and lost pictures."""
        import torch

        pairs = block.pairs()
        images, texts = state.places(pairs)
        known = ~state.texts.wordless[texts] & (images >= 0)
        images, texts = images[known], texts[known]
        values = np.zeros(len(images), np.float32)
        if state.image_queries is not None:
            values += contrast(state.image_queries, state.text_embeddings, images, texts)
        if "itm" in self.params.score:
            with torch.inference_mode():
                values += self._passes(state).itm_logits(images, texts, self._pairs.add)
        return cr.Scores.of_pairs(pairs, values, known, REASON)

    # the work -----------------------------------------------------------------------------------

    def _passes(self, state: Blip2State, seen: Counter | None = None) -> Passes:
        passes = _needing_torch(self.info, "passes").Passes
        intervention = partial(self.intervention, state)
        made: Passes = passes(
            self.backend(state), state, self._vision(state, seen), self._limits, intervention
        )
        return made

    def _vision(self, state: Blip2State, seen: Counter | None = None) -> Vision:
        def count(images: int) -> None:
            self.encoded_images += images
            if seen is not None:
                seen.add(images)

        return Vision(self.backend(state), state, self.params.cache_dtype, self._limits, count)

    def _store(
        self, backend: Backend, context: cr.Context, images: Images
    ) -> FeatureStore | MemoryFeatures:
        """Return where features are kept: without a cache folder in memory, if they fit there."""
        model = cr.fingerprint([FORMAT, backend.fingerprint(), self.params.cache_dtype])
        budget = parse_bytes(self.params.cache_budget)
        wanted = frozenset(images.keys)
        if context.cache_folder is not None:
            return FeatureStore(context.cache_folder / "blip2", model, budget, wanted)
        if len(wanted) * image_bytes(backend) <= min(budget, context.memory_budget // 8):
            self._memory = MemoryFeatures(model, wanted, self._memory)
            return self._memory
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="crossrank-blip2-")
        return FeatureStore(Path(self._folder.name), model, budget, wanted)


def _needing_torch(info: cr.RerankerInfo, name: str) -> Any:
    """Import torch, or a module of this package that is made of it."""
    with needs(info.name, info.extra, "torch", "transformers")():
        return import_module(name if name == "torch" else f"crossrank_blip2.{name}")


def _identity(given: Any, revision: str | None = None) -> Any:
    """Return what a model or tokenizer is recognised by, without loading it."""
    if isinstance(given, str | Path):
        return source_of(given, revision).identity(content=False)
    inner = getattr(given, "model", given)
    torch = loaded("torch")  # who gives a module has imported it
    if torch is not None and isinstance(inner, torch.nn.Module):
        return weights_digest({"model": inner})
    if hasattr(given, "get_vocab"):
        return dict(given.get_vocab())
    return None if given is None else type(given).__qualname__
