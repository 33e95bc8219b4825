"""The encoder ``detect``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import crossrank as cr
from crossrank.errors import MissingFeatureError
from crossrank.plugin.encoders import as_encoder
from crossrank.plugin.encoding import pictures_of
from crossrank.plugin.parameters import Check, check, finite, instance_of, integer
from crossrank_detect.detections import Detector
from crossrank_knowledge.regions import pool_under_box

SHARE = Check(lambda value: finite.accepts(value) and 0 <= value < 1, "a number in [0, 1)")


@dataclass(frozen=True, slots=True)
class DetectParameters:
    """Which detector, and which encoder describes what it finds.

    Parameters
    ----------
    model
        A YOLOX network as an ``.onnx`` file, or the folder or hub name of an
        ``AutoModelForObjectDetection``.
    encoder
        The encoder whose grid cells are pooled under each box, by name or ready.
    threshold
        Boxes of a lower score are dropped, in [0, 1).
    overlap
        Of two boxes of one class with more intersection over union, the worse is dropped (YOLOX).
    most
        The most boxes per picture.
    """

    model: str | Path
    encoder: str | cr.Encoder = "lite"
    threshold: float = 0.25
    overlap: float = 0.45
    most: int = 36

    def __post_init__(self) -> None:
        model = instance_of(str, Path, give="a file or a model's name")
        check("detect", self, model=model, threshold=SHARE, overlap=SHARE, most=integer(1))


class DetectEncoder(cr.Encoder):
    """A detector's boxes and labels, with the features of another encoder's grid under them."""

    info = cr.EncoderInfo(
        name="detect",
        summary="a detector's boxes and labels as regions (ONNX YOLOX or transformers)",
        features={"image": ("regions", "boxes", "labels", "box_scores", "size")},
        default_features=("regions", "boxes", "labels", "box_scores"),
        paper="YOLOX: Ge et al., 2021",
        extra="detect",
    )
    Parameters = DetectParameters

    @cached_property
    def detector(self) -> Detector:
        """The network, loaded on first use."""
        params = self.params
        if str(params.model).lower().endswith(".onnx"):
            from crossrank_detect.yolox import Yolox

            return Yolox(Path(params.model), params.threshold, params.overlap, params.most)
        from crossrank_detect.hub import HubDetector

        return HubDetector(str(params.model), params.threshold, params.most)

    @cached_property
    def grid(self) -> cr.Encoder:
        """The encoder that describes the regions.

        Raises
        ------
        MissingFeatureError
            If it has no grid cells to pool.
        """
        encoder = as_encoder(self.params.encoder, {})
        missing = {"regions", "token_boxes"} - set(encoder.info.features.get("image", ()))
        if missing:
            raise MissingFeatureError(
                f"detect: the encoder {encoder.info.name!r} gives no {' and no '.join(missing)} of "
                "images; choose one with grid cells, such as 'lite'"
            )
        return encoder

    def fingerprint(self) -> str:
        """Return a digest of the network's content, the grid encoder and the thresholds."""
        params = self.params
        path = Path(params.model)
        model = cr.fingerprint(np.fromfile(path, np.uint8)) if path.is_file() else str(params.model)
        grid = as_encoder(params.encoder, {}).fingerprint()
        return cr.fingerprint([model, grid, params.threshold, params.overlap, params.most])

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        """Return boxes and what is under them; a picture in which nothing is found has none."""
        pictures = list(pictures_of("detect", items))
        found = [self.detector.detect(picture) for picture in pictures]
        made: dict[str, Any] = {
            "boxes": cr.Ragged.from_list([each.boxes for each in found]),
            "labels": [list(each.labels) for each in found],
            "box_scores": cr.Ragged.from_list([each.scores for each in found]),
            "size": np.array([picture.size for picture in pictures], np.int64),
        }
        if "regions" in features:
            cells = self.grid.encode_batch(items, "image", ("regions", "token_boxes"))
            parts = zip(found, cells["regions"], cells["token_boxes"], strict=True)
            made["regions"] = cr.Ragged.from_list(
                [
                    np.stack([pool_under_box(grid, places, tuple(box)) for box in each.boxes])
                    if len(each.boxes)
                    else np.zeros((0, grid.shape[1]), np.float32)
                    for each, grid, places in parts
                ]
            )
        return {name: made[name] for name in features}
