"""What a network returns is divided among its pictures in its own form, and its logits are found."""

from collections import OrderedDict, namedtuple
from typing import Any

import pytest
import torch
from torch import Tensor

from lessons_lib.core.engine.outputs import logits_of, rows

LOGITS = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
STATES = torch.arange(2 * 7 * 4).view(2, 7, 4)
Pair = namedtuple("Pair", ["logits", "aux_logits"])


class Record(OrderedDict[str, Any]):
    """As Hugging Face's outputs: entries are attributes too, and only what is set one by one may change."""

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        setattr(self, key, value)

    def update(self, *_: Any, **__: Any) -> None:
        raise TypeError("no update")


def test_a_tensor_is_cut_along_its_first_axis() -> None:
    one, other = rows(LOGITS, 2)
    assert one.tolist() == [1, 2, 3] and other.tolist() == [4, 5, 6]


def test_what_is_nested_is_cut_in_its_own_form() -> None:
    output = Record()
    output["logits"], output["states"], output["loss"] = LOGITS, (STATES, [STATES + 1]), None
    first, second = rows(output, 2)
    assert type(second) is Record and list(second) == ["logits", "states", "loss"]
    assert torch.equal(second.logits, LOGITS[1]) and second.logits is second["logits"]
    assert torch.equal(first.states[0], STATES[0]) and torch.equal(second.states[1][0], STATES[1] + 1)
    assert type(second.states) is tuple and type(second.states[1]) is list and second.loss is None
    assert torch.equal(output.logits, LOGITS)  # the network's own stays whole


def test_a_named_tuple_keeps_its_names() -> None:
    _, second = rows(Pair(LOGITS, None), 2)
    assert torch.equal(second.logits, LOGITS[1]) and second.aux_logits is None


def test_a_dict_for_each_picture_is_taken_as_it_is() -> None:
    found = [{"boxes": torch.zeros(2, 4)}, {"boxes": torch.zeros(5, 4)}]
    assert all(one is other for one, other in zip(rows(found, 2), found, strict=True))


def test_what_belongs_to_the_whole_batch_is_given_to_a_single_picture_only() -> None:
    loss = torch.tensor(7.0)
    (only,) = rows((LOGITS[:1], loss, "cpu"), 1)
    assert torch.equal(only[0], LOGITS[0]) and only[1] is loss and only[2] == "cpu"
    for output, named in [
        ((LOGITS, loss), "a tuple of 2, and a tensor of shape () in it"),
        (loss, "a tensor of shape ()"),
    ]:
        with pytest.raises(TypeError, match="can't be divided among 2 pictures: explain them one by one") as raised:
            rows(output, 2)
        assert str(raised.value).startswith(f"The model gives {named}, which")


@pytest.mark.parametrize("row", [LOGITS[0], STATES])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda row: row,
        lambda row: {"aux": -row, "out": row},
        lambda row: {"states": -row, "logits": row},
        lambda row: (row, -row),
        lambda row: [row],
        lambda row: Pair(row, None),
    ],
)
def test_logits_are_found_in_every_form_of_output(wrap: Any, row: Tensor) -> None:
    assert logits_of(wrap(row), row.ndim) is row
    assert logits_of(wrap(row), row.ndim + 1) is None


@pytest.mark.parametrize("output", [{"boxes": LOGITS[0]}, (), [None], "logits", None])
def test_where_there_are_none_none_are_found(output: Any) -> None:
    assert logits_of(output, 1) is None
