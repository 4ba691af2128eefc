"""Figures of detokenised text agree with the programs that define them, to the last digit these print."""

import json
import math
import random
import subprocess
import sys
from pathlib import Path

import pytest
from rouge_score.rouge_scorer import RougeScorer

from analysis.tables.schema import BLEU_STATISTICS
from experiments.errors import UsageError
from experiments.evaluation.text_metrics import sentence_scores, signatures, text_metrics
from experiments.evaluation.text_units import units_of
from tests.helpers.languages import LANGUAGES

REFERENCES = [
    "Ein Mann fährt auf einem Fahrrad die Straße entlang.",
    "Zwei Hunde spielen im Schnee, einer davon ist schwarz.",
    "Das Mädchen im roten Kleid lacht.",
    "Eine Gruppe von Menschen steht vor einem Iglu.",
    "It costs $3.50 (about 3,20 EUR), doesn't it?",
]


def noisy(sentences: list[str]) -> list[str]:
    """Copies with words left out, repeated, exchanged and written small."""
    draw = random.Random(3)
    outputs = []
    for sentence in sentences:
        words = []
        for word in sentence.split():
            words += [word] * draw.choice([1, 1, 1, 1, 0, 2])
        if draw.random() < 0.5:
            draw.shuffle(words)
        outputs.append(" ".join(words).lower() if draw.random() < 0.3 else " ".join(words))
    return outputs


REFERENCES = REFERENCES * 6
OUTPUTS = noisy(REFERENCES)


CHINESE = LANGUAGES["zh"][:3]


@pytest.mark.parametrize(
    ("outputs", "references", "lowercase"),
    [
        (OUTPUTS, REFERENCES, False),
        (OUTPUTS, REFERENCES, True),
        ([text[2:] + text[:2] for text in CHINESE], CHINESE, False),
    ],
)
def test_bleu_chrf_and_ter_equal_what_the_sacrebleu_command_prints(
    tmp_path: Path, outputs: list[str], references: list[str], lowercase: bool
) -> None:
    (tmp_path / "reference").write_text("\n".join(references) + "\n")
    (tmp_path / "output").write_text("\n".join(outputs) + "\n")
    # -lc speaks to BLEU and chrF; TER has a switch of its own, the other way round
    flags = ["-lc"] if lowercase else ["--ter-case-sensitive"]
    if lowercase:
        flags += ["--chrf-lowercase"]
    if references is CHINESE:
        flags += ["--tokenize", "zh", "--ter-asian-support", "--ter-normalized"]
    command = [sys.executable, "-m", "sacrebleu", "reference", "-i", "output", "-m", "bleu", "chrf", "ter", "-w", "8"]
    printed = subprocess.run([*command, *flags], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    expected = {entry["name"]: entry for entry in json.loads(printed)}
    units = units_of(references)
    values, described = text_metrics(outputs, references, lowercase), signatures(lowercase, units=units)
    for name, column in (("BLEU", "bleu"), ("chrF2", "chrf"), ("TER", "ter")):
        assert round(values[column], 8) == expected[name]["score"]
        assert described[column] == expected[name]["signature"]


def test_rouge_equals_what_the_rouge_score_package_prints() -> None:
    values = text_metrics(OUTPUTS, REFERENCES, lowercase=False)
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"])
    scores = [scorer.score(reference, output) for reference, output in zip(REFERENCES, OUTPUTS, strict=True)]
    for name in ("rouge1", "rouge2", "rougeL"):
        mean = sum(score[name].fmeasure for score in scores) / len(scores)
        assert f"{values[name]:.4f}" == f"{mean:.4f}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_references_against_themselves_are_perfect_in_any_language(language: str) -> None:
    texts = LANGUAGES[language]
    for stated in (language, ""):  # also where nobody said which language it is
        values = text_metrics(texts, texts, lowercase=False, units=units_of(texts, stated))
        if language == "th":
            assert math.isnan(values.pop("bleu"))
        assert values == {
            name: pytest.approx(perfect)
            for name, perfect in (
                ("bleu", 100), ("chrf", 100), ("exact_match_text", 1), ("ter", 0), ("length_ratio", 1),
                ("rouge1", 1), ("rouge2", 1), ("rougeL", 1),
            ) if name in values
        }  # fmt: skip
        worse = text_metrics([text[: len(text) // 2] for text in texts], texts, False, units=units_of(texts, stated))
        assert all(worse[name] < value for name, value in values.items() if name != "ter")
        assert worse["ter"] > 0


def test_units_are_those_of_the_sacrebleu_command_for_the_target_language(monkeypatch: pytest.MonkeyPatch) -> None:
    for language, texts in LANGUAGES.items():
        expected = {"zh": "zh", "ja": "char", "ko": "char"}.get(language, "13a")  # no MeCab here
        assert units_of(texts, language).bleu == units_of(texts, "de").bleu == expected
    monkeypatch.setattr("experiments.evaluation.text_units._problem", lambda tokenizer: "")
    assert [units_of([], language).bleu for language in ("ja_JP", "ko", "zh-TW")] == ["ja-mecab", "ko-mecab", "zh"]
    assert units_of(LANGUAGES["zh"], "zh", tokenize="13a").bleu == "13a"


def test_a_tokenizer_whose_packages_are_missing_is_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match=r"^data\.bleu_tokenize: ja-mecab cannot be used here: .*pip install") as error:
        units_of(LANGUAGES["ja"], "ja", tokenize="ja-mecab")
    assert "\n" not in str(error.value)


def test_signatures_say_what_bleu_ter_and_rouge_count() -> None:
    described = signatures(False, units=units_of(LANGUAGES["zh"]))
    assert "|tok:zh|" in described["bleu"]
    assert "|norm:yes|" in described["ter"] and "|asian:yes|" in described["ter"]
    assert described["rouge2"] == "tok:zh"
    assert signatures(False)["rouge1"] == "tok:a-z0-9"


def test_the_counts_of_a_sentence_are_named() -> None:
    for score in sentence_scores(OUTPUTS, REFERENCES, lowercase=False):
        assert len(score.bleu) == len(BLEU_STATISTICS)


def test_scores_computed_once_serve_every_set_of_sentences() -> None:
    scores = sentence_scores(OUTPUTS, REFERENCES, lowercase=True)
    for part in (slice(0, 10), slice(5, 6), slice(None)):
        once = text_metrics(OUTPUTS[part], REFERENCES[part], True, scores[part])
        assert once == text_metrics(OUTPUTS[part], REFERENCES[part], True)


def test_bleu_and_rouge_are_undefined_where_no_reference_is_long_enough_for_them() -> None:
    values = text_metrics(["zwölf", "acht"], ["zwölf", "sieben Millionen acht"], lowercase=False)
    assert math.isnan(values["bleu"])
    assert values["chrf"] > 0 and values["exact_match_text"] == 0.5
    assert math.isnan(text_metrics(["acht"], ["acht"], lowercase=False)["rouge2"])
    longer = text_metrics(["zwölf", "acht"], ["zwölf", "sieben Millionen acht hundert"], lowercase=False)
    assert longer["bleu"] == 0  # the output has no 4-gram, but a good one would have


def test_rouge_is_a_mean_over_the_references_it_is_defined_for() -> None:
    texts = ["one", "one two three"]
    assert [text_metrics(texts, texts, False)[name] for name in ("rouge1", "rouge2", "rougeL")] == [1, 1, 1]


def test_exact_match_heeds_case_only_where_bleu_does() -> None:
    outputs = ["A dog.", "a cat.", "A bird"]
    references = ["A dog.", "A cat.", "A bird."]
    assert text_metrics(outputs, references, lowercase=False)["exact_match_text"] == pytest.approx(1 / 3)
    assert text_metrics(outputs, references, lowercase=True)["exact_match_text"] == pytest.approx(2 / 3)


def test_exact_match_takes_several_spaces_for_one_as_outputs_have_it() -> None:
    assert text_metrics(["A dog."], ["A  dog. "], lowercase=False)["exact_match_text"] == 1


def test_a_signature_says_where_references_were_normalised() -> None:
    assert "references:" not in signatures(False)["bleu"]
    assert signatures(False, normalised=True)["bleu"] == f"{signatures(False)['bleu']}|references:nfkc"


def test_length_ratio_counts_words_and_punctuation() -> None:
    assert text_metrics(["a b", "c"], ["a b c .", "d e"], lowercase=False)["length_ratio"] == pytest.approx(3 / 6)


def test_an_empty_output_is_scored() -> None:
    values = text_metrics(["", "A dog barks at the moon."], ["A cat sleeps.", "A dog barks at the moon."], False)
    assert 0 < values["bleu"] < 100
