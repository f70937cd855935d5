"""Diagrams of threshold nets: the table is what the net computes, and nothing overlaps."""

import numpy as np
import pytest

from xpmlp.pictures.diagram import (
    NEGATIVE,
    POSITIVE,
    RADIUS,
    Edge,
    Node,
    label_places,
    threshold_net,
    truth_table,
)
from xpmlp.pictures.style import save

XOR = (
    [Node("x1", 0, 0), Node("x2", 2, 0), Node("h", 1, 1, 1.5), Node("y", 1, 2.2, 0.5)],
    [
        Edge("x1", "h", 1),
        Edge("x2", "h", 1),
        Edge("x1", "y", 1),
        Edge("x2", "y", 1),
        Edge("h", "y", -2),
    ],
)
PARITY = (
    [Node(f"x{i}", i, 0) for i in range(3)]
    + [Node(f"h{i}", i, 1.5, i + 0.5) for i in range(3)]
    + [Node("y", 1, 3, 0.5)],
    [Edge(f"x{i}", f"h{j}", 1) for i in range(3) for j in range(3)]
    + [Edge(f"h{j}", "y", (-1) ** j) for j in range(3)],
)


def test_table_of_the_xor_net():
    assert truth_table(*XOR) == [(0, 0, 0, 0), (0, 1, 0, 1), (1, 0, 0, 1), (1, 1, 1, 0)]


def test_a_unit_needs_more_than_its_threshold():
    nodes = [Node("x", 0, 0), Node("y", 0, 1, 1.0)]
    assert truth_table(nodes, [Edge("x", "y", 1)]) == [(0, 0), (1, 0)]
    assert truth_table(nodes, [Edge("x", "y", 1.1)]) == [(0, 0), (1, 1)]


def test_parity_of_three():
    table = truth_table(*PARITY)
    assert len(table) == 8
    for *inputs, _, _, _, y in table:
        assert y == sum(inputs) % 2


def test_weights_and_thresholds_are_written():
    net, table = threshold_net(*XOR).axes
    texts = [text.get_text() for text in net.texts]
    assert texts == ["x1", "x2", "h\n> 1.5", "y\n> 0.5", "1", "1", "1", "1", "−2"]
    assert [text.get_color() for text in net.texts[4:]] == [POSITIVE] * 4 + [NEGATIVE]
    cells = sorted(table.texts, key=lambda text: (text.get_position()[1], text.get_position()[0]))
    assert (
        "".join(text.get_text() for text in cells) == "x1x2hy" + "0000" + "0101" + "1001" + "1110"
    )


def distance(point, start, end):
    """From a point to the nearest of many points of a line."""
    shares = np.linspace(0, 1, 2001)[:, None]
    return np.linalg.norm(point - (start + shares * (end - start)), axis=1).min()


@pytest.mark.parametrize("net", [XOR, PARITY], ids=["xor", "parity"])
def test_a_weight_stands_on_its_own_edge_clear_of_all_else(net):
    nodes, edges = net
    centres = {node.name: np.array([node.x, node.y]) for node in nodes}
    ends = [(centres[edge.source], centres[edge.target]) for edge in edges]
    places = label_places(nodes, edges)
    for i, place in enumerate(places):
        assert distance(place, *ends[i]) < 1e-2
        others = [distance(place, *other) for other in ends[:i] + ends[i + 1 :]]
        assert min(others) > 0.08
        assert min(np.linalg.norm(place - centre) for centre in centres.values()) > RADIUS + 0.1
        assert all(np.linalg.norm(place - other) > 0.15 for other in places[:i])


@pytest.mark.parametrize("net", [XOR, PARITY], ids=["xor", "parity"])
def test_texts_do_not_overlap(net, tmp_path):
    figure = threshold_net(*net)
    save(figure, tmp_path / "net.png")
    boxes = [text.get_window_extent() for axes in figure.axes for text in axes.texts]
    for i, box in enumerate(boxes):
        assert box.count_overlaps(boxes[:i]) == 0
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
