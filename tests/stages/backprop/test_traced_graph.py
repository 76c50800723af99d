"""The computational graph: what torch.fx traced, named as in the homework, with derivatives that autograd confirms."""

from plumbline.checks.claims import Checks
from stages.backprop import traced_graph


def test_the_graph_is_the_homeworks() -> None:
    checks = Checks()
    traced = traced_graph.check_graph(checks)
    assert checks.failures == []
    assert [node.symbol for node in traced.nodes] == ["X", "W_1", "W_2", "y", "Z", "u", r"\hat{y}", "e", "s", "L"]
    shapes = {node.symbol: node.shape for node in traced.nodes}
    assert (shapes["Z"], shapes[r"\hat{y}"], shapes["L"]) == ("(n, h)", "(n, o)", "one number")
    assert {node.number for node in traced.nodes} == {"", "0.1", "0.2", "0.3", "0.4"}
    by_name = {node.name: node.symbol for node in traced.nodes}
    edges = {(by_name[edge.source], by_name[edge.target]) for edge in traced.edges}
    assert edges == {
        ("X", "Z"), ("W_1", "Z"), ("Z", "u"), ("u", r"\hat{y}"), ("W_2", r"\hat{y}"), (r"\hat{y}", "e"),
        ("y", "e"), ("e", "s"), ("s", "L"),
    }  # fmt: skip
