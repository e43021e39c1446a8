"""A method's options: intervals against a table written by hand, kinds, choices and what is taken as not given."""

import math

import pytest

from mentornet.options import Option, RunFacts, check_choice, check_within, given

# interval: (numbers inside, numbers outside, what the message says is allowed)
INTERVALS = {
    "(0, 1)": ([1e-9, 0.5, 0.999], [-0.1, 0, 1, 1.5], "above 0 and below 1"),
    "(0, 1]": ([1e-9, 0.5, 1], [-0.1, 0, 1.0001], "above 0 and at most 1"),
    "[0, 1)": ([0, 0.5, 0.999], [-1e-9, 1, 1.5], "at least 0 and below 1"),
    "[0, 1]": ([0, 0.5, 1], [-1e-9, 1.0001], "at least 0 and at most 1"),
    "[0, inf)": ([0, 7, 1e30], [-1, -1e-9], "at least 0"),
    "(0, inf)": ([1e-9, 7, 1e30], [-1, 0], "above 0"),
    "[2, inf)": ([2, 7], [1, 0, -3], "at least 2"),
    "(-inf, 0.5]": ([-1e30, 0, 0.5], [0.51, 1e30], "at most 0.5"),
    "(-inf, inf)": ([-1e30, 0, 1e30], [], "a finite number"),
    "(-1, 3]": ([-0.9, 0, 3], [-1, 3.5], "above -1 and at most 3"),
}


@pytest.mark.parametrize("interval", INTERVALS)
def test_intervals(interval):
    inside, outside, allowed = INTERVALS[interval]
    for value in inside:
        check_within("--x", value, interval)
    for value in outside:
        with pytest.raises(ValueError, match=r"^--x=") as refused:
            check_within("--x", value, interval)
        assert str(refused.value) == f"--x={value:g} must be {allowed}"
    for value in (math.nan, math.inf, -math.inf):  # are in no interval
        with pytest.raises(ValueError, match=r"^--x="):
            check_within("--x", value, interval)


@pytest.mark.parametrize(
    ("option", "kind"),
    [
        (Option("a", 0.5), float),
        (Option("a", 3), int),
        (Option("a", False), bool),
        (Option("a", "x"), str),
        (Option("a", "x", choices=("x", "y")), str),
        (Option("a"), str),
        (Option("a", kind=float), float),
        (Option("a", None, kind=int), int),
    ],
)
def test_the_kind_is_that_of_the_default_unless_it_is_given(option, kind):
    assert option.kind is kind


def test_the_flag_is_called_like_the_argument_unless_it_is_given():
    assert Option("beta").flag == "beta"
    assert Option("beta", flag="reed_beta").flag == "reed_beta"


def test_options_check_values_by_the_name_they_are_shown_with():
    share = Option("share", 0.5, within="(0, 1]")
    for fine in (None, 0.1, 1):
        share.check(fine)
    with pytest.raises(ValueError, match=r"^share=2 must be above 0 and at most 1$"):
        share.check(2)
    with pytest.raises(ValueError, match=r"^--kept=0 must be above 0 and at most 1$"):
        share.check(0, "--kept")
    kind = Option("kind", "soft", choices=("soft", "hard"))
    kind.check(None)
    kind.check("hard")
    with pytest.raises(ValueError, match=r"^--kind='mild': use one of soft, hard$"):
        kind.check("mild", "--kind")
    Option("file").check("anything")
    Option("on", False, within="(5, 6)").check(True)  # a switch is no number


def test_choices():
    check_choice("x", "a", ("a", "b"))
    with pytest.raises(ValueError, match=r"x='c': use one of a, b"):
        check_choice("x", "c", ("a", "b"))


def test_what_is_not_given_or_none_is_the_default():
    assert given({"a": 0}, "a", 5) == 0
    assert given({"a": None}, "a", 5) == 5
    assert given({}, "a", 5) == 5
    assert given({}, "a") is None


def test_facts_of_a_run_are_plain_values_with_harmless_defaults():
    assert RunFacts(None) == RunFacts(max_steps=None, weight_decay=0.0, balanced=False, asynchronous=False)
