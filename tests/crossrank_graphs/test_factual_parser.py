"""FACTUAL's parser: what it makes of a model's answers, and of a folder."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from crossrank.errors import StoreError
from crossrank_graphs import FactualParser, GraphParser, parse


class Answering(FactualParser):
    """Writes what it is told to."""

    said: dict[str, str]

    def answers(self, texts: Sequence[str]) -> list[str]:
        return [self.said[text] for text in texts]


def test_answers_become_graphs_and_what_is_cut_off_is_left_out() -> None:
    parser = Answering("nowhere", batch_size=2)
    parser.said = {
        "two pigs fly": "( pigs , is , 2 ) , ( pigs , fly on , sky ) , ( pigs , ha",
        "…": "nothing",
        "a tree": "( tree )",
    }
    pigs, none, tree = parse(list(parser.said), parser)
    assert [thing.phrase for thing in pigs.objects] == ["2 pigs", "sky"]
    assert [(r.subject.name, r.predicate, r.object.name) for r in pigs.relations] == [
        ("pigs", "fly on", "sky")
    ]
    assert none.objects == () and tree.objects[0].name == "tree"
    assert isinstance(parser, GraphParser)


def test_a_tiny_checkpoint_from_a_folder(tmp_path: Path) -> None:
    transformers: Any = import_module("transformers")
    tokenizers: Any = import_module("tokenizers")
    words = [
        "<pad>",
        "</s>",
        "<unk>",
        *["(", ")", ",", "a", "dog", "is", "brown", "generate", "scene", "graph", ":"],
    ]
    model = tokenizers.models.WordLevel({w: k for k, w in enumerate(words)}, "<unk>")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = tokenizers.normalizers.Lowercase()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=16,
    ).save_pretrained(tmp_path)
    config = transformers.T5Config(
        vocab_size=len(words),
        d_model=8,
        d_kv=4,
        d_ff=8,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
    )
    transformers.T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    parser = FactualParser(tmp_path, longest=6)
    texts = ["a dog", "a brown dog " * 20]
    assert [graph.text for graph in parser.graphs(texts)] == texts
    again = pickle.loads(pickle.dumps(parser))
    assert again.fingerprint() == parser.fingerprint() and again.folder == tmp_path


def test_a_folder_without_a_checkpoint(tmp_path: Path) -> None:
    parser = FactualParser(tmp_path)
    with pytest.raises(StoreError, match="flan-t5"):
        parser.fingerprint()
    with pytest.raises(StoreError, match="flan-t5"):
        list(parser.graphs(["a dog"]))
    assert list(parser.graphs([])) == []
