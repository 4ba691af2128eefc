"""`lengthwise sizes`: parameter counts, and the widths at which architectures match."""

from collections.abc import Sequence

from experiments.config.arguments import OneLineParser, require_at_least
from experiments.config.widths import TOLERANCE, WIDEST, count_parameters, nearest_width, vocabulary_sizes
from experiments.errors import UsageError
from lit_models import architectures


def size_table(
    names: Sequence[str], budget: int | None, hidden_size: int, vocabulary: int
) -> list[tuple[str, int, int]]:
    """Name, hidden size and parameter count of each architecture, otherwise at its defaults."""
    options, rows = vocabulary_sizes(vocabulary), []
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
        if getattr(options, name) is not None:
            require_at_least(name, getattr(options, name), 1)
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
            name = max(rows, key=lambda row: abs(row[2] - options.budget))[0]
            other = "smaller" if WIDEST in (hidden_size for _, hidden_size, _ in rows) else "larger"  # widths are finer
            print(f"These do not match within 10%. {name} is furthest from it: try a {other} --budget")
        else:
            print(f"lengthwise fit --parameter_budget {options.budget} --model … uses these widths")
    return 0
