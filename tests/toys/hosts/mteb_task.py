"""A task of mteb that needs no network: texts that look for pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image


def task_of(
    texts: Mapping[str, str],
    pictures: Mapping[str, Image.Image],
    relevant: Mapping[str, Mapping[str, int]],
    ranked: Mapping[str, Sequence[str]] | None,
) -> Any:
    """Return a task, with the lists of a first stage or without."""
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.mocks.mock_tasks.retrieval import general_args

    class Local(AbsTaskRetrieval):
        metadata = TaskMetadata(
            type="Any2AnyRetrieval", name="LocalT2I", main_score="ndcg_at_10", **general_args
        )
        metadata.modalities = ["image", "text"]  # noqa: RUF012
        metadata.category = "t2i"

        def load_data(self, num_proc: int | None = None, **kwargs: Any) -> None:
            split = {
                "queries": Dataset.from_dict({"id": list(texts), "text": list(texts.values())}),
                "corpus": Dataset.from_dict(
                    {"id": list(pictures), "image": list(pictures.values())}
                ),
                "relevant_docs": {query: dict(grades) for query, grades in relevant.items()},
                "top_ranked": ranked,
            }
            self.dataset = {"default": {"test": split}}
            self.data_loaded = True

    return Local()
