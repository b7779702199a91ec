"""A tokenizer whose tokens are whole words, as word vectors want them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast


PAD, UNKNOWN = "<pad>", "<unk>"


def word_tokenizer(sentences: Iterable[str], min_count: int = 1) -> PreTrainedTokenizerFast:
    """
    A tokenizer for the words and punctuation marks of some sentences, in lower case.

    Args:
        sentences (`Iterable[str]`): the training sentences: a word that only others have is `<unk>`.
        min_count (`int`, *optional*, defaults to 1): words that are there more rarely are `<unk>`, too.

    Returns:
        `PreTrainedTokenizerFast`: with `<pad>` as id 0, `<unk>` as id 1, and the words from the most frequent on.
    """
    normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    splitter = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    counts = Counter(word for s in sentences for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(s)))
    # Equally frequent words by their letters: the ids depend on the sentences, not on their order.
    words = sorted((w for w, n in counts.items() if n >= min_count), key=lambda w: (-counts[w], w))
    vocabulary = {w: k for k, w in enumerate(dict.fromkeys([PAD, UNKNOWN, *words]))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        model_input_names=["input_ids", "attention_mask"],
    )
