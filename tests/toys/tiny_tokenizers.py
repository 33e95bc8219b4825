"""Tiny tokenizers of the CLIP families: CLIP's and Gemma's byte pairs, BERT's, whole words."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

transformers: Any = import_module("transformers")  # its types are incomplete

WORDS = "a an and black brown cat cats dog grass horse in man of on red rides runs street the two"
CHINESE = "一只狗在草地上跑两猫红色的车"
LONGEST_TEXT = 12


def save_clip_tokenizer(folder: Path) -> None:
    """Write the byte-level BPE of CLIP: the words and, by themselves, all letters."""
    begin, end = "<|startoftext|>", "<|endoftext|>"
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = _merges([*word[:-1], word[-1] + "</w>"] for word in WORDS.split())
    vocabulary = _numbered(
        [begin, end], letters, (c + "</w>" for c in letters), ("".join(m) for m in merges)
    )
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges), ""]
    (folder / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": LONGEST_TEXT,
        "bos_token": begin,
        "eos_token": end,
        "unk_token": end,
        "pad_token": end,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def save_gemma_tokenizer(folder: Path) -> None:
    """Write the BPE of Gemma, where a blank is the first letter of a word."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    merges = _merges("▁" + word for word in WORDS.split())
    vocabulary = _numbered(special, "▁", sorted(set(WORDS)), ("".join(m) for m in merges))
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", 1)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<unk>",
    ).save_pretrained(folder)


def save_chinese_tokenizer(folder: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CHINESE, *WORDS.split(), "##s"]
    (folder / "vocab.txt").write_text("\n".join(dict.fromkeys(words)) + "\n", encoding="utf-8")
    settings = {"tokenizer_class": "BertTokenizer", "model_max_length": 512, "do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def save_word_tokenizer(folder: Path, *, begin: bool = True) -> None:
    """Write a tokenizer of whole words in the way of ``tokenizer.json`` files."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    vocabulary = {word: n for n, word in enumerate([*special, *WORDS.split()])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>" if begin else "$A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
    ).save_pretrained(folder)


def save_siglip_tokenizer(folder: Path) -> None:
    save_word_tokenizer(folder, begin=False)


def save_sentencepiece_tokenizer(folder: Path) -> None:
    """Put SigLIP's own tokenizer, trained on a few words, in the place of another one."""
    sentencepiece = import_module("sentencepiece")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([WORDS] * 5),
        model_writer=model,
        vocab_size=40,
        hard_vocab_limit=False,
        pad_id=-1,
        bos_id=-1,
        eos_id=1,
        unk_id=0,
        minloglevel=2,
    )
    (folder / "tokenizer.json").unlink()
    (folder / "spiece.model").write_bytes(model.getvalue())
    settings = {"tokenizer_class": "SiglipTokenizer", "model_max_length": LONGEST_TEXT}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def _merges(words: Iterable[Sequence[str]]) -> list[tuple[str, str]]:
    """Return byte-pair merges that put each word together from its end, the longest first."""
    merges: list[tuple[str, str]] = []
    for word in sorted(words, key=len, reverse=True):
        parts = list(word)
        while len(parts) > 1:
            merges.append((parts[-2], parts[-1]))
            parts[-2:] = ["".join(parts[-2:])]
    return list(dict.fromkeys(merges))


def _numbered(*groups: Iterable[str]) -> dict[str, int]:
    return {word: n for n, word in enumerate(dict.fromkeys(chain(*groups)))}
