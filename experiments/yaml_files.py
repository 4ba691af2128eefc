"""Reading YAML that people write: what is wrong with it is one line that names the file."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from experiments.errors import UsageError


class _UniqueKeys(yaml.SafeLoader):
    """A loader that refuses a key given twice, where YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def load_yaml(path: Path, otherwise: str) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Args:
        path: the file.
        otherwise: what to say of a file that holds something else.

    Raises:
        UsageError: one line that names the file and, where there is one, the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not a text file in UTF-8") from None
    try:
        content = yaml.load(text, _UniqueKeys)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{path}:{line}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: what looks like a date and is none
        detail = "" if isinstance(error, yaml.YAMLError) else f": {error}"
        raise UsageError(f"{path}: not valid YAML{detail}") from None
    except RecursionError:
        raise UsageError(f"{path}: nested too deeply") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path}: {otherwise}")
    return content
