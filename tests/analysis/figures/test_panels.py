"""What panels share: a legend below them."""

import matplotlib.pyplot as plt
import pytest

from analysis.figures.panels import legend
from analysis.figures.style import Style, paper_style


@pytest.mark.parametrize("count", [3, 13])
def test_a_legend_of_long_names_stays_inside_its_figure_and_leaves_the_panel_its_height(count):
    with paper_style():
        figure = plt.figure(figsize=(4.6, 3.2), layout="constrained")
        axes = figure.subplots()
        names = [f"Vanilla RNN [hidden_size={number}]" for number in range(100, 100 + count)]
        legend(figure, [Style(name, "black", "o", "-") for name in names], columns=4)
        figure.canvas.draw()
        [drawn] = figure.legends
        box, whole = drawn.get_window_extent(), figure.bbox
        assert whole.x0 <= box.x0 and box.x1 <= whole.x1
        assert axes.get_window_extent().height > 1.5 * figure.dpi
        plt.close(figure)
