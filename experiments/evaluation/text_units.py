"""In which units text of a language is scored: words where the language writes them apart, otherwise less."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

from sacrebleu.metrics.bleu import BLEU

from experiments.errors import UsageError

# As the command of sacreBLEU chooses by target language; anything else is cut by 13a.
TOKENIZERS = {"zh": "zh", "ja": "ja-mecab", "ko": "ko-mecab"}
FALLBACK = "char"  # of ja-mecab and ko-mecab, which need packages of their own
FEW = 0.05  # share of kana that Japanese has more of, and Chinese less
ROUGE_OF_LATIN = "a-z0-9"


class Units(NamedTuple):
    """How text is cut for scoring.

    Attributes:
        bleu: the tokenizer of sacreBLEU, which the length ratio counts by too.
        ideographs: whether TER takes ideographs and kana apart, as sacreBLEU does with its Asian support.
        rouge: `a-z0-9`, runs of these as in the program that defines ROUGE, which loses all other letters; or the
            tokenizer of BLEU, whose units of punctuation alone are left out.
    """

    bleu: str = "13a"
    ideographs: bool = False
    rouge: str = ROUGE_OF_LATIN

    def of_rouge(self, text: str) -> list[str]:
        """The units of a text that ROUGE compares."""
        if self.rouge == ROUGE_OF_LATIN:
            return re.findall("[a-z0-9]+", text.lower())
        return [unit for unit in self.of_bleu(text.lower()) if any(map(str.isalnum, unit))]

    def of_bleu(self, text: str) -> list[str]:
        """The units of a text that BLEU compares."""
        return _tokenizer(self.bleu)(text).split()


def units_of(references: Sequence[str], language: str = "", tokenize: str | None = None) -> Units:
    """The units for references.

    Args:
        references: what outputs are compared with.
        language: what was said of their language, such as zh or ja_JP. It counts less than text that is plainly
            Chinese, Japanese or Korean: most files are given without a word about their language.
        tokenize: the tokenizer of BLEU; None chooses it by language.

    Raises:
        UsageError: that tokenizer needs what is not here.
    """
    scripts = _scripts(references)
    language = _language(scripts, language)
    if tokenize is not None:
        if problem := _problem(tokenize):
            raise UsageError(f"data.bleu_tokenize: {tokenize} cannot be used here: {problem}")
        bleu = tokenize
    else:
        bleu = TOKENIZERS.get(language, "13a")
        if _problem(bleu):
            bleu = FALLBACK
    latin = not scripts or scripts.most_common(1)[0][0] == "LATIN"
    return Units(bleu, language in ("zh", "ja"), ROUGE_OF_LATIN if latin else bleu)


def _scripts(texts: Sequence[str]) -> Counter[str]:
    """How many letters of each script there are, by the first word of their Unicode names: LATIN, CJK, HANGUL, …"""
    scripts: Counter[str] = Counter()
    for letter, count in Counter("".join(texts)).items():
        if letter.isalpha():
            scripts[unicodedata.name(letter, "").partition(" ")[0]] += count
    return scripts


def _language(scripts: Counter[str], stated: str) -> str:
    """The two letters of a language."""
    code = re.split("[-_]", stated.lower())[0]
    kana = scripts["HIRAGANA"] + scripts["KATAKANA"] + scripts["KATAKANA-HIRAGANA"]
    if code not in TOKENIZERS:
        if 2 * (kana + scripts["CJK"]) > scripts.total():
            return "ja" if kana > FEW * scripts.total() else "zh"
        if 2 * scripts["HANGUL"] > scripts.total():
            return "ko"
    return code


@cache
def _tokenizer(name: str) -> Callable[[str], str]:
    return BLEU(tokenize=name).tokenizer


def _problem(tokenizer: str) -> str:
    """Why a tokenizer of sacreBLEU cannot be used, in one line; empty where it can."""
    try:
        _tokenizer(tokenizer)
    except Exception as error:  # whatever it makes of a missing package, or of a model it cannot fetch
        return " ".join(str(error).split()) or type(error).__name__
    return ""
