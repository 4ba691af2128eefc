"""The options of a trial as a person, a file or a W&B agent gives them: names and plain values, in the order in which
they count.

Configuration and sweep files may come from elsewhere. They are read as plain YAML, an option takes numbers, texts,
switches and lists of them, and a model is one of this suite: nothing that they name is ever imported.
"""

import ast
import contextlib
import difflib
import functools
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jsonargparse import ArgumentParser, get_loader

from experiments.errors import UsageError
from lit_models import architectures

MODEL_NAMES = ("model", "model.class_path")
DEEPEST = 20  # a configuration has four levels
VERSION_LINE = "# lengthwise "  # begins the configuration that a trial leaves


class Option(NamedTuple):
    """One option.

    Attributes:
        where: what messages begin with: empty, or the configuration file that gives the option.
        name: such as data.length; of a model, model.hidden_size, which in a file stands under init_args.
        value: of a file, the value itself; on the command line, its text.
        joined: whether name and value stand in one word, as a W&B agent writes them; it writes nested parameters as
            one mapping.
    """

    where: str
    name: str
    value: Any
    joined: bool = False


def read_options(arguments: list[str]) -> list[Option]:
    """The options of a command line. Those of `--config FILE` come first, so that they undo nothing beside them; then
    `--model NAME`, wherever it stands.

    Raises:
        UsageError: one line that names the argument or the file.
    """
    options, of_files, models = [], [], []
    words = iter(arguments)
    for word in words:
        if word.startswith("-c"):  # short for --config
            word = f"--config={word[2:].removeprefix('=')}" if len(word) > 2 else "--config"
        if not word.startswith("--"):
            raise UsageError(f"{word} is not an option; see lengthwise fit --help")
        name, joined, value = word[2:].partition("=")
        value = value if joined else next(words, "")
        nested = _mapping(value)
        if name == "config":
            of_files += options_of(nested, "--config: ") if nested else _options_of_file(value)
        elif name in MODEL_NAMES and not nested:
            models.append(Option("", name, value))
        else:
            given = options_of(nested, name=name) if nested else [Option("", name, value)]
            options += [option._replace(joined=bool(joined)) for option in given]
    return [*of_files, *models, *options]


def _options_of_file(named: str) -> list[Option]:
    path = Path(named)
    if not named:
        raise UsageError("--config: is empty; name a YAML file")
    if not path.is_file():
        raise UsageError(f"--config: {named} does not exist or is no file")
    text = path.read_text(errors="replace")
    try:
        content = _loaded(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"--config: {path}: not valid YAML near line {line}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"--config: {path}: not valid YAML: {str(error).partition(chr(10))[0]}") from None
    except RecursionError:
        raise UsageError(f"--config: {path}: nested too deeply") from None
    if not isinstance(content, dict):
        raise UsageError(f"--config: {path}: no options; it holds lines such as seed_everything: 1")
    first = text.partition("\n")[0]
    version = f" (written by version {first.removeprefix(VERSION_LINE)})" if first.startswith(VERSION_LINE) else ""
    return options_of(content, f"{path}{version}: ")


@functools.cache  # the trials of a sweep name the same files and values; what comes back is only read
def _loaded(text: str) -> Any:
    return get_loader("yaml")(text)


def _mapping(text: str) -> dict[str, Any] | None:
    """What a text on the command line stands for, if that is several options: YAML, or Python as an agent writes it."""
    for read in (ast.literal_eval, _loaded) if text.startswith("{") else ():
        with contextlib.suppress(yaml.YAMLError, ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            if isinstance(content := read(text), dict):
                return content
    return None


def options_of(value: Any, where: str = "", name: str = "", depth: int = 0) -> list[Option]:
    """{"data": {"length": 5}} -> data.length = 5

    Raises:
        UsageError: nested too deeply.
    """
    if depth > DEEPEST:
        raise UsageError(f"{where}{name[:80]}: nested too deeply, or within itself")
    if not isinstance(value, dict) or not value:
        return [Option(where, name.replace("model.init_args.", "model."), value)]
    inner = ((f"{name}.{key}" if name else str(key), one) for key, one in value.items())
    return [leaf for key, one in inner for leaf in options_of(one, where, key, depth + 1)]


def choose_model(options: list[Option]) -> tuple[str, list[Option]]:
    """The architecture that is named last, and the options besides.

    What a file gives a model that another one then replaces stays, as far as the other one has such an option.
    `model.GRU.learning_rate` is the learning rate where the model is a GRU, and nothing where it is another.

    Raises:
        UsageError: no name, or one that no architecture has.
    """
    chosen = ""
    others: list[tuple[str, Option]] = []  # with the model named before
    for option in options:
        if option.name in MODEL_NAMES:
            chosen = _known_model(option)
        else:
            others.append((chosen, option))
    if not chosen:
        raise UsageError(f"--model: say which architecture: {', '.join(architectures())}")

    own, of_others = f"model.{chosen}.", tuple(f"model.{name}." for name in architectures() if name != chosen)
    kept = []
    for model, option in others:
        replaced = model not in ("", chosen) and option.name.startswith("model.")
        if option.name.startswith(own):
            kept.append(option._replace(name=option.name.replace(own, "model.", 1)))
        elif not option.name.startswith(of_others) and not (replaced and option.name not in model_options(chosen)):
            kept.append(option)
    return chosen, kept


def _known_model(option: Option) -> str:
    name = str(option.value)
    if name.startswith("lit_models."):
        name = name.rpartition(".")[2]
    if name in architectures():
        return name
    near = difflib.get_close_matches(name.lower(), map(str.lower, architectures()), n=1)
    hint = "".join(f"did you mean {known}? " for known in architectures() if [known.lower()] == near)
    models = ", ".join(architectures())
    raise UsageError(f"{option.where}--model: '{name}' is unknown; {hint}The models are {models}")


@functools.cache
def model_options(model: str) -> frozenset[str]:
    """The options of an architecture, such as model.hidden_size."""
    parser = ArgumentParser()
    parser.add_class_arguments(architectures()[model], "model")
    return frozenset(name[2:] for name in parser._option_string_actions if name.startswith("--model."))
