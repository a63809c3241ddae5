"""The one loop that reads a graph, and pruning."""

from hypothesis import given
from hypothesis import strategies as st

from opcheck.tracing import Graph, Node, Tape, values


def test_fold_reads_leaves_and_operations_in_order():
    tape = Tape()
    x = tape.input("x", 3)
    graph = tape.graph(x * x + 1)
    spelled = graph.fold(lambda node: node.label or str(node.value), lambda node, args: f"{node.op}({','.join(args)})")
    assert spelled == [
        "x", "mul(x,x)", "1", "sum(mul(x,x),1)",
    ]  # fmt: skip


def test_leaves_are_the_inputs_in_the_order_in_which_they_were_read():
    tape = Tape()
    y, x = tape.input("y", 1), tape.input("x", 2)
    assert tape.graph(2 * x + y).leaves() == [y.id, x.id]
    assert Node("input").is_leaf
    assert Node("constant").is_leaf
    assert not Node("sum", (0,)).is_leaf


@given(st.lists(st.tuples(st.sampled_from(["sum", "mul", "sub"]), st.integers(0, 99), st.integers(0, 99)), max_size=12))
def test_pruning_keeps_what_the_outputs_need_and_their_values(operations):
    tape = Tape()
    made = [tape.input("x", 3.0), tape.input("y", 2.0)]
    for op, a, b in operations:
        made.append(tape.record(op, (made[a % len(made)], made[b % len(made)])))
    graph = tape.graph(made[-1], made[len(made) // 2])
    pruned = graph.pruned()
    assert [values(pruned)[k] for k in pruned.outputs] == [values(graph)[k] for k in graph.outputs]
    needed = {arg for node in pruned.nodes for arg in node.args} | set(pruned.outputs)
    assert needed == set(range(len(pruned.nodes)))
    assert all(arg < k for k, node in enumerate(pruned.nodes) for arg in node.args)


def test_an_empty_graph_has_nothing():
    assert Graph((), ()).fold(lambda node: 1, lambda node, args: 2) == []
    assert Graph((), ()).pruned().nodes == ()
