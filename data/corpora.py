"""Public parallel corpora by name, as plain files with one segment a line.

Multi30k (Elliott et al. 2016, 2017; Barrault et al. 2018) comes from its authors' repository. WMT, IWSLT and OPUS
come from the Hugging Face hub through the package `datasets`, which the extra `hub` adds. Either way
a corpus is fetched once into the cache folder and read from there ever after.
"""

import difflib
import gzip
import hashlib
import importlib
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from zlib import error as DeflateError

from data.downloads import download, locked, verify
from data.tasks import SPLITS


class CorpusError(ValueError):
    """What is wrong with a corpus, and what to do about it, in one line."""


class CorpusFiles(NamedTuple):
    """Source and target file of each split: UTF-8, one segment a line, line n of either saying the same."""

    train: tuple[Path, Path]
    validation: tuple[Path, Path]
    test: tuple[Path, Path]


# The branch is not pinned: the sums of the unpacked files pin the content.
MULTI30K_ADDRESS = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw"
MULTI30K_TEST_SETS = {
    "multi30k": "test_2016_flickr",
    "multi30k-2017": "test_2017_flickr",
    "multi30k-2018": "test_2018_flickr",
    "multi30k-coco": "test_2017_mscoco",
}
MULTI30K_SUMS = {
    "train.cs": "2be68b38c8d586ff4f54eb13cc6e1baaaa053695b3f070d3038303a47f2268da",
    "train.de": "2c2b73fd2b548fbcde3a875e0a78d6ee94d498bfdee6bd3eae3945779e9ddf72",
    "train.en": "460a15fbd157e34a7a9957ee388c1ca247fe47af3ef25fb50442af6c274e0fc6",
    "train.fr": "5925a3c18f1587b6b54b87743106e6e8ab93618edb6f65d19eac0621f853a10d",
    "val.cs": "d53827e469b0a1ca8d57e9e26b2b64c4bc4b33f5479c7b03ae87ae5c882c3e33",
    "val.de": "660e09eb7e1da2f856ea13ee5ad3cf6d36b3d5b0b733c857e94c5747a3dfc660",
    "val.en": "1f2a23d992769b5b3d209b0a10dd0b77c08cceb1f20dfb97ed0aafa49d107227",
    "val.fr": "5304e444d842e962b2dda4d816b70b22a1765b15401642b7ca37a67477e708dc",
    "test_2016_flickr.cs": "45adb85f688de8407fddcbe1b36dca15d12aab868149b337e2576f2d6d2ff8d8",
    "test_2016_flickr.de": "4be6b5b3236b79c25475c6bb829800a7ce559e9ba7a1f6c2394fe4d40be46d16",
    "test_2016_flickr.en": "399a4382932c1aadd3ceb9bef1008d388a64c76d4ae4e9d4728c6f4301cac182",
    "test_2016_flickr.fr": "cb3160d69b002bb638e66cc7612fcd56cb0af82eadc9c142dedc438afb885ef6",
    "test_2017_flickr.de": "c3078bc3b36808bf9d20eb2347ed6137016179ef59ec0d2b9b8ecc3fb2880081",
    "test_2017_flickr.en": "ce1450ddc5ab0834502579d77a170849952e15a2938b34cc503bdc25ebb4fb98",
    "test_2017_flickr.fr": "6f3764e31dac41e9455e612958bcfd4e877c5e15cd66df2c2b2be6d9bd83e5b6",
    "test_2018_flickr.cs": "1db59fe6980c9b3f9bade65122a985e71150214837d76f4768a5a8384c0b2dc7",
    "test_2018_flickr.de": "39fcc8b3331d76fb42d648d019c6898b0d5e58baac87bc2a0bb93f44ec8db207",
    "test_2018_flickr.en": "4e585c2dd525911a6ea7730e9d0b516239af3f1b1ffae6a2130223cfb639f25e",
    "test_2018_flickr.fr": "234b4a887da0da4801a3e2c6f21336231ff7dd46daeb80cfa1b551c8bbb78239",
    "test_2017_mscoco.de": "58277df3c75f92f7145a11b910b553d1cf82c439249d4dc237c899609eafac22",
    "test_2017_mscoco.en": "43051fdfa86fd5395182e718a94ca67b1b227b9f7c79596ff0f6b813216981d2",
    "test_2017_mscoco.fr": "39cde3f43f32b0a6bf29ce4917a46329ff32e53070c2fac87506695a740ae0a0",
}


@dataclass(frozen=True)
class HubCorpus:
    """A corpus on the Hugging Face hub, in a repository of Parquet files.

    Attributes:
        repository: its id on the hub.
        languages: codes of the languages it has, with spaces between them.
        english: whether one side of every pair is English.
        configuration: name of a pair's configuration, with {source} and {target}, or {other} for the language
            that is not English, or {first} and {second} in alphabetical order.
        converted: whether the hub's own Parquet conversion is read, because the repository itself holds a loading
            script, which datasets 4 and later no longer run.
    """

    repository: str
    languages: str
    english: bool
    configuration: str
    converted: bool = False


HUB_CORPORA = {
    "wmt14": HubCorpus("wmt/wmt14", "cs de en fr hi ru", True, "{other}-en"),
    "wmt16": HubCorpus("wmt/wmt16", "cs de en fi ro ru tr", True, "{other}-en"),
    "iwslt2017": HubCorpus(
        "IWSLT/iwslt2017",
        "ar de en fr it ja ko nl ro zh",
        False,
        "iwslt2017-{source}-{target}",
        converted=True,
    ),
    "opus100": HubCorpus(
        "Helsinki-NLP/opus-100",
        "af am an ar as az be bg bn br bs ca cs cy da de dz el en eo es et eu fa fi fr fy ga gd gl gu ha he hi hr "
        "hu hy id ig is it ja ka kk km kn ko ku ky li lt lv mg mk ml mn mr ms mt my nb ne nl nn no oc or pa pl ps "
        "pt ro ru rw se sh si sk sl sq sr sv ta te tg th tk tr tt ug uk ur uz vi wa xh yi yo zh zu",
        True,
        "{first}-{second}",
    ),
    "opus_books": HubCorpus(
        "Helsinki-NLP/opus_books",
        "ca de el en eo es fi fr hu it nl no pl pt ru sv",
        False,
        "{first}-{second}",
    ),
}
CORPORA = (*MULTI30K_TEST_SETS, *HUB_CORPORA)
SEGMENTS_PER_HELD_OUT = 50  # one source segment in so many goes to each split that a corpus lacks


def load_corpus(name: str, source_language: str, target_language: str, cache: Path) -> CorpusFiles:
    """Fetch a corpus into the cache unless it is there already.

    The environment variable LENGTHWISE_MIRROR names another address to fetch Multi30k's files from, one that has
    train.en.gz and the like directly below it.

    Args:
        name: one of CORPORA. The multi30k corpora differ in their test set only.
        source_language: two-letter code.
        target_language: two-letter code.
        cache: folder to keep the files in, see cache_folder.

    Returns:
        The files of the three splits. Where a corpus on the hub lacks a validation or test split, one source
        segment in 50 is cut from its training data for it, decided by a hash of the segment.

    Raises:
        ValueError: an unknown name or language, or a pair the corpus does not have; the message lists what there is.
        DownloadError: a file cannot be fetched, or it is not the one expected (a ValueError).
        CorpusError: a corpus on the hub cannot be loaded (a ValueError).
    """
    if name not in CORPORA:
        near = difflib.get_close_matches(name, CORPORA, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise ValueError(f"data.corpus: '{name}' is unknown; {hint}The corpora are {', '.join(CORPORA)}")
    _check_pair(name, source_language, target_language)
    load = _load_multi30k if name in MULTI30K_TEST_SETS else _load_from_hub
    try:
        return load(name, source_language, target_language, cache)
    except OSError as error:
        raise CorpusError(
            f"{cache}: cannot keep {name} there ({error.strerror or error}); "
            f"set LENGTHWISE_CACHE to a folder with space that you may write to"
        ) from error


def _languages(name: str) -> list[str]:
    if name in HUB_CORPORA:
        return HUB_CORPORA[name].languages.split()
    test_set = MULTI30K_TEST_SETS[name] + "."
    return sorted(file.removeprefix(test_set) for file in MULTI30K_SUMS if file.startswith(test_set))


def _check_pair(name: str, source_language: str, target_language: str) -> None:
    languages = _languages(name)
    listed = f"the languages of {name} are {', '.join(languages)}"
    pair = {"data.source_language": source_language, "data.target_language": target_language}
    for option, language in pair.items():
        if language not in languages:
            raise ValueError(f"{option}: '{language}' is not in the corpus; {listed}")
    if source_language == target_language:
        raise ValueError(f"data.target_language: '{target_language}' is the source language too; {listed}")
    if name in HUB_CORPORA and HUB_CORPORA[name].english and "en" not in pair.values():
        raise ValueError(
            f"data.target_language: {name} has no pair {source_language}-{target_language}, one side has to be en; "
            f"{listed}"
        )


def _load_multi30k(name: str, source_language: str, target_language: str, cache: Path) -> CorpusFiles:
    splits = ("train", "val", MULTI30K_TEST_SETS[name])
    pairs = [
        (
            _multi30k_file(f"{split}.{source_language}", cache / "multi30k"),
            _multi30k_file(f"{split}.{target_language}", cache / "multi30k"),
        )
        for split in splits
    ]
    return CorpusFiles(*pairs)


def _multi30k_file(name: str, folder: Path) -> Path:
    """Fetch, unpack and verify one file, for example train.en."""
    path = folder / name
    if path.exists():
        return path
    address = os.environ.get("LENGTHWISE_MIRROR", MULTI30K_ADDRESS).rstrip("/")
    with locked(path):
        if not path.exists():
            packed = download(f"{address}/{name}.gz", folder / f"{name}.gz")
            unpacked = folder / f"{name}.unpacked"
            try:
                with gzip.open(packed, "rb") as source, unpacked.open("wb") as target:
                    shutil.copyfileobj(source, target)
                verify(unpacked, MULTI30K_SUMS[name], f"{address}/{name}.gz, unpacked")
            except (gzip.BadGzipFile, EOFError, DeflateError):
                raise CorpusError(f"{packed}: is no complete gzip file; it was deleted: try again") from None
            finally:
                # Whatever came of it, the packed file has done its work: a bad one must not be found again.
                packed.unlink(missing_ok=True)
            unpacked.replace(path)
    return path


def _load_from_hub(name: str, source_language: str, target_language: str, cache: Path) -> CorpusFiles:
    """Export a corpus once: its folder appears under its final name when all files in it are complete."""
    folder = cache / name / f"{source_language}-{target_language}"
    if not folder.exists():
        with locked(folder):
            if not folder.exists():
                splits = _hub_splits(name, source_language, target_language)
                with TemporaryDirectory(dir=folder.parent, prefix="incomplete-") as temporary:
                    complete = Path(temporary) / folder.name
                    _export(name, splits, source_language, target_language, complete)
                    complete.rename(folder)
    return CorpusFiles(*(_pair(folder, split, source_language, target_language) for split in SPLITS))


def _pair(folder: Path, split: str, source_language: str, target_language: str) -> tuple[Path, Path]:
    return folder / f"{split}.{source_language}", folder / f"{split}.{target_language}"


def _hub_splits(name: str, source_language: str, target_language: str) -> Mapping[str, Iterable[dict[str, Any]]]:
    """Rows `{"translation": {"en": …, "de": …}}` of each split the hub has."""
    try:
        datasets = importlib.import_module("datasets")
    except ImportError:
        raise CorpusError(
            f'data.corpus: {name} is read with the package `datasets`; run: pip install -c constraints.txt -e ".[hub]"'
        ) from None
    corpus = HUB_CORPORA[name]
    configuration = _configuration(corpus, source_language, target_language)
    try:
        if corpus.converted:
            folder = f"hf://datasets/{corpus.repository}@refs/convert/parquet/{configuration}"
            return datasets.load_dataset(
                "parquet", data_files={split: f"{folder}/{split}/*.parquet" for split in SPLITS}
            )
        return datasets.load_dataset(corpus.repository, configuration)
    except Exception as error:  # whatever datasets and what it calls raise: no network, no such configuration, …
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CorpusError(
            f"data.corpus: cannot load {configuration} of {corpus.repository} from the Hugging Face hub ({reason}); "
            f"check the pair and the network, or choose your own files with --data.train.source"
        ) from error


def _configuration(corpus: HubCorpus, source_language: str, target_language: str) -> str:
    first, second = sorted((source_language, target_language))
    other = target_language if source_language == "en" else source_language
    return corpus.configuration.format(
        source=source_language, target=target_language, first=first, second=second, other=other
    )


def _export(
    name: str,
    splits: Mapping[str, Iterable[dict[str, Any]]],
    source_language: str,
    target_language: str,
    folder: Path,
) -> None:
    """Write the six files and say how many segments held line breaks, which become spaces."""
    folder.mkdir()
    missing = [split for split in SPLITS if split not in splits]
    broken = 0
    with ExitStack() as stack:
        files = {
            split: [
                stack.enter_context(path.open("w", encoding="utf-8", newline="\n"))
                for path in _pair(folder, split, source_language, target_language)
            ]
            for split in SPLITS
        }
        for split in SPLITS:
            for row in splits.get(split, ()):
                pair = [row["translation"][language] or "" for language in (source_language, target_language)]
                lines = [" ".join(segment.splitlines()) for segment in pair]
                broken += sum(line != segment for line, segment in zip(lines, pair, strict=True))
                destination = _split_of_training_segment(lines[0], missing) if split == "train" else split
                for file, line in zip(files[destination], lines, strict=True):
                    file.write(line + "\n")
    if broken:
        print(f"{name}: {broken} segments held a line break, which became a space", file=sys.stderr)


def _split_of_training_segment(source: str, missing: list[str]) -> str:
    """The split a training segment goes to: equal sources go to the same one, on every machine."""
    number = int.from_bytes(hashlib.blake2b(source.encode(), digest_size=8).digest(), "big") % SEGMENTS_PER_HELD_OUT
    return missing[number] if number < len(missing) else "train"
