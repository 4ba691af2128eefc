"""`lengthwise sizes`: parameter counts, and the widths at which architectures match."""

import functools
import json
import sys
from collections.abc import Callable, Sequence

import torch

from data.batch import FIRST_TOKEN
from experiments.config.arguments import OneLineParser
from experiments.errors import UsageError
from lit_models import LitSeq2Seq, architectures

TOLERANCE = 0.10
WIDEST = 8192


def count_parameters(model: type[LitSeq2Seq], options: dict[str, object]) -> int:
    """Number of trained parameters of a model that is never given memory."""
    with torch.device("meta"):
        return model(**options).num_params  # type: ignore[arg-type]


def pick_width(model: type[LitSeq2Seq], options: dict[str, object], budget: int) -> tuple[int, int]:
    """The hidden_size whose parameter count lies nearest to the budget.

    Returns:
        The width and its parameter count, within 10% of the budget.

    Raises:
        UsageError: no width comes that near.
    """
    width, count = nearest_width(model, options, budget)
    if abs(count - budget) > TOLERANCE * budget:
        raise UsageError(
            f"--parameter_budget: {model.__name__} cannot come within 10% of {budget:,}; "
            f"the nearest is {count:,} parameters at hidden_size {width}"
        )
    return width, count


def nearest_width(model: type[LitSeq2Seq], options: dict[str, object], budget: int) -> tuple[int, int]:
    """The same, however far from the budget.

    Only even sizes are considered, and those the model accepts: a transformer's must be a multiple of its heads.
    """
    return _nearest_width(model, json.dumps(options, sort_keys=True), budget)


@functools.cache  # a sweep asks the same of every length and seed
def _nearest_width(model: type[LitSeq2Seq], options: str, budget: int) -> tuple[int, int]:
    @functools.cache
    def count(width: int) -> int:
        return count_parameters(model, {**json.loads(options), "hidden_size": width})

    step = _width_step(count)
    low, high = 1, WIDEST // step
    while low < high:  # the first width at or above the budget
        middle = (low + high) // 2
        if count(middle * step) < budget:
            low = middle + 1
        else:
            high = middle
    width = min((max(low - 1, 1) * step, low * step), key=lambda each: abs(count(each) - budget))
    return width, count(width)


def _width_step(count: Callable[[int], int]) -> int:
    """The smallest even step all of whose multiples the model accepts, going by the first few."""
    for step in range(2, 130, 2):
        try:
            for multiple in (1, 2, 3):
                count(step * multiple)
        except ValueError:
            continue
        return step
    raise UsageError("--parameter_budget: no even hidden_size up to 128 suits this model")


def size_table(
    names: Sequence[str], budget: int | None, hidden_size: int, vocabulary: int
) -> list[tuple[str, int, int]]:
    """Name, hidden size and parameter count of each architecture, otherwise at its defaults."""
    vocab_size = vocabulary + FIRST_TOKEN
    options: dict[str, object] = {"source_vocab_size": vocab_size, "target_vocab_size": vocab_size}
    rows = []
    for name in names:
        model = architectures()[name]
        if budget is None:
            rows.append((name, hidden_size, count_parameters(model, {**options, "hidden_size": hidden_size})))
        else:
            rows.append((name, *nearest_width(model, options, budget)))
    return rows


def main(arguments: list[str]) -> int:
    """Print the table."""
    parser = OneLineParser(
        prog="lengthwise sizes",
        description="Print the parameter counts of all architectures at one hidden size, or, with --budget, the "
        "hidden size of each whose count lies nearest to the budget, so that all match within 10%.",
    )
    parser.add_argument("--budget", type=int, metavar="N", help="number of parameters to match")
    parser.add_argument("--hidden_size", type=int, default=64, help="one hidden size for all (default %(default)s)")
    parser.add_argument("--vocabulary", type=int, default=16, help="symbols of the task (default %(default)s)")
    options = parser.parse_args(arguments)
    for name in ("budget", "hidden_size", "vocabulary"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name}: {value} must be at least 1")
    try:
        rows = size_table(list(architectures()), options.budget, options.hidden_size, options.vocabulary)
    except ValueError as error:
        raise UsageError(str(error)) from None
    width = max(len(name) for name, _, _ in rows)
    print(f"{'architecture':{width}}  hidden_size  parameters")
    for name, hidden_size, count in rows:
        print(f"{name:{width}}  {hidden_size:11}  {count:10,}")
    counts = [count for _, _, count in rows]
    spread = max(counts) / min(counts)
    print(f"\nlargest / smallest = {spread:.3f}")
    if options.budget is not None:
        if spread > 1 + TOLERANCE:
            name, _, count = max(rows, key=lambda row: abs(row[2] - options.budget))
            print(f"These do not match within 10%. {name} is the coarsest: try --budget {count}")
        else:
            print(f"lengthwise fit --parameter_budget {options.budget} --model … uses these widths")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
