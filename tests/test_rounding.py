"""What one step in the last printed digit excuses in an output, and that it excuses nothing else."""

import pytest

from tools.nbval_rounding import Printed
from tools.rounding import difference

SAME = {
    "a percentage": ("63 % of the heat on the cat", "62 % of the heat on the cat"),
    "a percentage without a space": ("moves: 63%", "moves: 64%"),
    "a decimal": ("tiger cat 0.38 · peak", "tiger cat 0.39 · peak"),
    "a carry": ("peak 9.99 high", "peak 10.00 high"),
    "a carry in a percentage": ("99 %", "100 %"),
    "a minus that is a hyphen": ("logit -1.5", "logit -1.6"),
    "a minus that is typographic": ("logit −1.5", "logit −1.6"),
    "minus zero": ("moves by -0.00", "moves by 0.00"),
    "from one side of zero to the other": ("moves by -0.01", "moves by 0.00"),
    "a decimal's percentage": ("by area 0.5%", "by area 0.4%"),
    "scientific": ("peak 2e-07", "peak 3e-07"),
    "scientific with a mantissa": ("peak 3.2e-07", "peak 3.1e-07"),
    "scientific across a power": ("peak 9.9e-07", "peak 1.0e-06"),
    "a list that ends in %": ("the 3 copies of cat (19, 18, 8 %)", "the 3 copies of cat (18, 19, 9 %)"),
    "thousands with decimals": ("1,280.5 sums", "1,280.6 sums"),
    "every number for itself": ("0.12 · 5 % · 0.30", "0.13 · 4 % · 0.29"),
    "decimals at the end of a sentence": ("It is 0.38.", "It is 0.39."),
    "a range": ("α 0.42-0.50", "α 0.43-0.50"),
    "a right-aligned table": ("cat  9.99  yes\ncup  1.00  no", "cat 10.00  yes\ncup  1.00  no"),
    "a right-aligned percentage": ("luck  99%   heat", "luck 100%   heat"),
    "a left-aligned table": ("9.99  yes\n1.00  no", "10.00 yes\n1.00  no"),
    "an array": ("[[0.11 0.17]\n [0.18 0.24]]", "[[0.12 0.17]\n [0.18 0.23]]"),
    "an array that drops zeros": ("[[0.11 0.2 ]\n [0.18 0.24]]", "[[0.11 0.19]\n [0.18 0.24]]"),
    "a whole number among decimals": ("[0.99 5.  ]", "[1.   5.01]"),
    "an array that loses its only minus": ("[[ 0.08 -0.01]\n [ 0.2   0.3 ]]", "[[0.08 0.  ]\n [0.2  0.3 ]]"),
    "a tensor": ("tensor([0.1234, 5.])", "tensor([0.1233, 5.])"),
}

DIFFERENT = {
    "a percentage by two": ("63 % of the heat", "61 % of the heat"),
    "a decimal by two": ("tiger cat 0.38", "tiger cat 0.40"),
    "a carry by two": ("9.99", "10.01"),
    "scientific by two": ("3.2e-07", "3.0e-07"),
    "scientific by two across a power": ("9.8e-07", "1.0e-06"),
    "another power": ("2e-07", "2e-06"),
    "one number of a list by two": ("(19, 18, 8 %)", "(19, 16, 8 %)"),
    "one copy fewer": ("(19, 18, 8 %)", "(19, 18 %)"),
    "the number of copies": ("the 3 copies of cat (19 %)", "the 4 copies of cat (19 %)"),
    "a row": ("peak at row 3, column 2 of 7 × 7", "peak at row 4, column 2 of 7 × 7"),
    "a column": ("peak at row 3, column 2 of 7 × 7", "peak at row 3, column 3 of 7 × 7"),
    "a row before a percentage": ("at row 3, 18 % of it", "at row 4, 18 % of it"),
    "a grid": ("column 2 of 7 × 7", "column 2 of 7 × 8"),
    "a count": ("3 of 7 cats are reached", "4 of 7 cats are reached"),
    "a count of thousands": ("1,280 channels", "1,281 channels"),
    "a shape": ("torch.Size([1, 3, 224])", "torch.Size([1, 3, 225])"),
    "a whole number of an array": ("[0. 1. 5.]", "[0. 1. 6.]"),
    "ten steps of an array that drops zeros": ("[0.2  0.31]", "[0.3  0.31]"),
    "an integer beside decimals": ("[cat 0.29 · row 4]", "[cat 0.29 · row 5]"),
    "a class": ("tiger cat 0.38", "tabby cat 0.38"),
    "an order": ("5 % on the cat, 5 % on the cup", "5 % on the cup, 5 % on the cat"),
    "a verdict": ("all agree: yes", "all agree: no"),
    "a truth": ("the same map: True", "the same map: False"),
    "more decimals": ("0.38", "0.380"),
    "fewer decimals": ("values to 0.51", "values to 0.5"),
    "a sign": ("logit 1.5", "logit -1.5"),
    "a sign of another kind": ("logit -1.5", "logit −1.5"),
    "a plus": ("logit +0.01", "logit 0.01"),
    "decimal to scientific": ("0.0001", "1e-04"),
    "decimal to a percentage": ("0.5 of it", "0 % of it"),
    "below": ("rocket below 0.01", "rocket 0.01"),
    "not a number": ("nan", "0.00"),
    "a version": ("torch 1.2.3", "torch 1.2.4"),
    "a layer": ("at blocks.4", "at blocks.5"),
    "a number in a name": ("conv2d", "conv3d"),
    "a word more": ("no heat", "no heat at all"),
    "nothing": ("0.38", ""),
    "a line more": ("0.38\n", "0.38\n0.38\n"),
    "a line fewer": ("a\n\nb", "a\nb"),
    "spaces": ("a b", "a  b"),
    "spaces before a number": ("logit  0.38", "logit 0.39"),
    "spaces at the end": ("0.38", "0.38 "),
    "spaces of an array whose numbers stay": ("[0.1  0.2]", "[0.1 0.2]"),
}


@pytest.mark.parametrize("case", SAME)
def test_one_step_in_the_last_digit_is_no_difference(case: str) -> None:
    one, other = SAME[case]
    assert difference(one, other) is None
    assert difference(other, one) is None
    assert (Printed(one) != Printed(other)) is False


@pytest.mark.parametrize("case", DIFFERENT)
def test_everything_else_is_a_difference(case: str) -> None:
    one, other = DIFFERENT[case]
    assert difference(one, other) is not None
    assert difference(other, one) is not None
    assert (Printed(one) == Printed(other)) is False


def test_the_first_difference_is_named_and_what_is_excused_is_not() -> None:
    assert difference("cat 0.38\ncup 63 %, row 3", "cat 0.39\ncup 61 %, row 4") == "line 2: '63' became '61'"
    assert difference("a cat", "a cat, a cup") == "line 1: 'the end' became ','"
    assert difference("a\nb c", "a\nb  c") == "line 2: other spaces before 'c'"
