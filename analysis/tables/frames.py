"""Names for pandas tables in annotations.

pandas annotates nearly every expression as frame, series or scalar at once, which a type checker cannot follow.
Here the names say what is meant, and the checker is told to ask no further.
"""

from typing import Any, TypeAlias

Frame: TypeAlias = Any  # a pandas.DataFrame
Column: TypeAlias = Any  # a pandas.Series
