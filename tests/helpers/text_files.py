"""A toy pair of languages, whose sentences translate word by word with adjective and noun exchanged."""

import random
from pathlib import Path

import pytest

ADJECTIVES = {"red": "rouge", "big": "grand", "old": "vieux", "good": "bon"}
NOUNS = {"house": "maison", "dog": "chien", "tree": "arbre", "man": "homme", "book": "livre"}
VERBS = {"sees": "voit", "likes": "aime", "finds": "trouve"}


def sentence(draw: random.Random, clauses: int) -> tuple[str, str]:
    """A sentence and its translation; more clauses make it longer."""
    source, target = [], []
    for clause in range(clauses):
        for words in ("noun", "verb", "noun") if clause == 0 else ("verb", "noun"):
            if words == "verb":
                verb = draw.choice(list(VERBS))
                source.append(verb)
                target.append(VERBS[verb])
            else:
                adjective, noun = draw.choice(list(ADJECTIVES)), draw.choice(list(NOUNS))
                source += ["the", adjective, noun]
                target += ["le", NOUNS[noun], ADJECTIVES[adjective]]
    return " ".join(source).capitalize() + ".", " ".join(target).capitalize() + "."


def write_corpus(folder: Path, train: int = 120, held_out: int = 20, most_clauses: int = 3) -> dict[str, str]:
    """Write train, validation and test files and return the options that name them, data.task included."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(5)
    options = {"data.task": "text"}
    for split, count in (("train", train), ("validation", held_out), ("test", held_out)):
        pairs = [sentence(draw, 1 + number % most_clauses) for number in range(count)]
        for side, name in ((0, "source"), (1, "target")):
            path = folder / f"{split}.{'en' if side == 0 else 'fr'}"
            path.write_text("".join(pair[side] + "\n" for pair in pairs), encoding="utf-8")
            options[f"data.{split}.{name}"] = str(path)
    return options


def stand_in_corpora(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the committed configurations find toy text where they expect Multi30k and the user's own corpus."""
    write_corpus(folder / "toy")
    cache, by_length = folder / "cache" / "multi30k", folder / "corpora" / "by_length"
    cache.mkdir(parents=True)
    by_length.mkdir(parents=True)
    names = {"train": "train", "validation": "val", "test": "test_2016_flickr"}
    for split, name in names.items():
        for side, language in (("en", "en"), ("fr", "de")):
            text = (folder / "toy" / f"{split}.{side}").read_text()
            (cache / f"{name}.{language}").write_text(text)
            (by_length / f"{split}.{language}").write_text(text)
    monkeypatch.setenv("LENGTHWISE_CACHE", str(folder / "cache"))
    monkeypatch.chdir(folder)
