"""Explanations as somebody saw and liked them, at 80 columns."""

import pytest

from opcheck import explain
from tests.render import snapshot

SHAPES = {"conv2d": {"input": (4, 4)}, "max_pool2d": {"input": (4, 4)}, "avg_pool2d": {"input": (4, 4)}}


@pytest.mark.parametrize("direction", ["forward", "gradient"])
@pytest.mark.parametrize(
    "name", ["conv2d", "linear", "max_pool2d", "avg_pool2d", "softmax", "cross_entropy", "mse_loss", "tanh", "adam"]
)
def test_an_explanation_has_not_changed(name, direction):
    explanation = explain(name, shapes=SHAPES.get(name), **({"grad": True} if direction == "gradient" else {}))
    snapshot.matches(f"{name}.{direction}.txt", str(explanation))


@pytest.mark.parametrize("style", ["ascii", "plain"])
def test_other_styles_have_not_changed(style):
    explanation = explain("conv2d", shapes={"input": (5, 5), "weight": (3, 3)})
    snapshot.matches(f"conv2d.{style}.txt", explanation.render("text", **{style: True}))


@pytest.mark.parametrize("format", ["latex", "markdown"])
def test_other_formats_have_not_changed(format):
    snapshot.matches(f"conv2d.{format}.txt", explain("conv2d", shapes={"input": (4, 4)}).render(format))


def test_a_snapshot_that_differs_is_reported(tmp_path, monkeypatch):
    monkeypatch.delenv("UPDATE_SNAPSHOTS", raising=False)
    with pytest.raises(AssertionError, match=r"no snapshot a\.txt"):
        snapshot.matches("a.txt", "one", tmp_path)
    monkeypatch.setenv("UPDATE_SNAPSHOTS", "1")
    snapshot.matches("a.txt", "one", tmp_path)
    monkeypatch.delenv("UPDATE_SNAPSHOTS")
    snapshot.matches("a.txt", "one", tmp_path)
    with pytest.raises(AssertionError, match="changed"):
        snapshot.matches("a.txt", "two", tmp_path)
