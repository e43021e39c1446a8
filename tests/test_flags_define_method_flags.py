"""The flags made of the methods' OPTIONS: ranges, refusal of foreign ones, defaults in the help, the release preset."""

from __future__ import annotations

import inspect
import re
from types import SimpleNamespace

import numpy as np
import pytest
from absl import flags as absl_flags

from flags import configuration
from flags.define import method_flags
from mentornet import methods
from mentornet.methods import preparation
from mentornet.methods.class_weights import class_weights

OFFERS = [(method, option) for method in methods.names() for option in methods.get(method).OPTIONS]
IDS = [f"{method}-{option.flag}" for method, option in OFFERS]
# Options that ``prepared`` reads and the constructor does not have, or has by another meaning.
READ_BEFORE = {
    "class_weights_rule",
    preparation.TRANSITION_MATRIX.name,
    preparation.BASELINE_RUN.name,
    preparation.OUTLIERS.name,
    "pretrained_run",
}


def chosen(method: str, *flags: str, preset: str = "paper") -> dict:
    """The options that a command line gives a method."""
    release = preset == "release"
    return configuration.parse(["x", *flags], make=lambda: method_flags.options(method, release))


def limits(option):
    low, high = (float(end) for end in option.within[1:-1].split(","))
    return low, high, option.within[0] == "[", option.within[-1] == "]"


def inside(option):
    """Some allowed values, as they are written on the command line."""
    if option.choices:
        return list(option.choices)
    if option.kind is bool:
        return ["true", "false"]
    if option.kind is str:
        return ["x.csv"]
    low, high, with_low, with_high = limits(option)
    least, most = (low if np.isfinite(low) else -7.0), (high if np.isfinite(high) else low + 7.0)
    found = [least] * with_low + [most] * (with_high or not np.isfinite(high))
    if option.kind is float:
        found.append((least + most) / 2)
    return [f"{option.kind(value):g}" for value in found]


def outside(option):
    if option.choices:
        return ["no_such_choice"]
    if option.kind is bool:
        return ["maybe"]
    if option.kind is str:
        return []
    low, high, with_low, with_high = limits(option)
    step = 1 if option.kind is int else 0.25
    found = [low - step] + [low] * (not with_low) if np.isfinite(low) else []
    found += [high + step] + [high] * (not with_high) if np.isfinite(high) else []
    return [f"{option.kind(value):g}" for value in found] + ["three"]


@pytest.mark.parametrize(("method", "option"), OFFERS, ids=IDS)
def test_values_in_range_reach_the_method_and_others_are_refused_with_the_flag_s_name(method, option):
    wanted = {"true": True, "false": False}
    for text in inside(option):
        found = chosen(method, f"--{option.flag}={text}")
        assert found == {option.name: wanted[text] if option.kind is bool else option.kind(text)}
        assert type(found[option.name]) is option.kind
    for text in outside(option):
        with pytest.raises((ValueError, absl_flags.Error), match=rf"{option.flag}\b.*{re.escape(text)}"):
            chosen(method, f"--{option.flag}={text}")
    assert chosen(method) == {}


def test_every_number_has_a_limit():
    unlimited = [option.flag for _, option in OFFERS if option.kind in (int, float) and option.within == "(-inf, inf)"]
    assert unlimited == []


@pytest.mark.parametrize("flag", method_flags.OFFERED)
def test_a_foreign_method_s_flag_is_refused_naming_the_methods_that_use_it(flag):
    offers = {method for method, option in OFFERS if option.flag == flag}
    assert set(method_flags.OFFERED[flag]) == offers
    value = inside(next(iter(method_flags.OFFERED[flag].values())))[0]
    for method in methods.names():
        if method in offers:
            continue
        with pytest.raises(ValueError, match="does not use") as refused:
            chosen(method, f"--{flag}={value}")
        before, _, named = str(refused.value).partition("use --method=")
        assert before == f"--method={method} does not use --{flag}: leave it out, or "
        assert set(named.split(" or ")) == offers
    with pytest.raises(ValueError, match=f"--method=standard does not use --{flag}: leave it out"):
        configuration.parse(["x", "--train_log_dir=never", "--method=standard", f"--{flag}={value}"])


def default_of(method: str, name: str):
    """The default of an argument, of the class or of the nearest base that names it."""
    for kind in methods.get(method).__mro__:
        parameters = inspect.signature(kind.__init__).parameters if "__init__" in vars(kind) else {}
        if name in parameters:
            return parameters[name].default
    raise LookupError(f"no constructor of {method} takes {name}")


@pytest.mark.parametrize(("method", "option"), OFFERS, ids=IDS)
def test_defaults_are_those_of_the_constructors(method, option):
    if option.name not in READ_BEFORE:
        assert default_of(method, option.name) == option.default
        assert type(default_of(method, option.name)) is type(option.default)
    elif option.name != "class_weights_rule":
        assert option.default is None
        assert chosen(method) == {}


def test_without_a_rule_class_weights_are_what_the_help_says():
    (option,) = methods.get("class_weights").OPTIONS
    given = np.array([0, 0, 0, 1, 2])
    data = SimpleNamespace(given=given, num_classes=3)
    made = methods.get("class_weights").prepared({}, data)
    assert made["class_weights"] == class_weights(option.default, given, 3)
    assert made["class_weights"] == pytest.approx((5 / 9, 5 / 3, 5 / 3))


@pytest.mark.parametrize("flag", method_flags.OFFERED)
def test_the_help_says_who_takes_it_its_default_and_its_value_in_the_release(flag):
    offers = method_flags.OFFERED[flag]
    text = re.sub(r"^<.*?>: ", "", absl_flags.FLAGS[flag].help)  # absl puts the choices in front
    assert text.startswith(f"{', '.join(offers)}: ")
    assert absl_flags.FLAGS[flag].default is None  # a method's own default is used where nothing is given
    real = {
        method: option.default if option.name in READ_BEFORE else default_of(method, option.name)
        for method, option in offers.items()
    }
    known = {method: value for method, value in real.items() if value is not None}
    shown = re.findall(r"\bDefault: ((?:[^.]|\.\d)*)\.", text)
    if len(set(known.values())) == 1:
        assert shown == [str(next(iter(known.values())))]
    elif known:
        assert shown == [", ".join(f"{value} for {method}" for method, value in known.items())]
    else:
        assert shown == []
    for option in offers.values():
        assert (option.release is None) or f"{option.release} under --preset=release" in text
        assert option.source in text
        assert option.help in text


def test_two_methods_that_share_a_flag_mean_the_same_by_it():
    for flag, offers in method_flags.OFFERED.items():
        alike = {(option.name, option.kind, option.choices, option.within) for option in offers.values()}
        assert len(alike) == 1, flag
    clash = {"a": methods.get("reed").OPTIONS[0], "b": methods.get("reed").OPTIONS[1]}
    with pytest.raises(ValueError, match="a, b mean different things by --reed_kind: name the flag of one otherwise"):
        method_flags._define("reed_kind", clash)


def test_the_release_preset_takes_what_the_authors_codes_do_unless_a_flag_says_otherwise():
    for method in methods.names():
        expected = {o.name: o.release for o in methods.get(method).OPTIONS if o.release is not None}
        assert chosen(method, preset="release") == expected
    assert chosen("co_teaching", preset="release") == {"divide_twice": True}
    assert chosen("co_teaching", "--nodivide_twice", preset="release") == {"divide_twice": False}
    assert set(chosen("co_teaching_plus", preset="release")) == {"divide_twice", "double_softmax"}


def test_every_method_is_offered_and_described():
    help_text = absl_flags.FLAGS["method"].help
    assert all(name in help_text for name in methods.names())


def test_help_names_the_defaults_of_paper_and_release():
    """ICML section 4 and appendix E.2 against the released train.py."""
    expected = {
        "loss_p_percentile": ("0.75", "0.7"),
        "loss_moving_average_decay": ("0.95", "0.5"),
        "burn_in_epoch": ("20", "0"),
        "example_dropout_rates": ("0.5,20,0.05,80", "0.5,17,0.05,78,1.0,5"),
    }
    for name, (paper, release) in expected.items():
        said = f"Default: {paper} (--preset=paper), {release} (release)."
        assert absl_flags.FLAGS[name].help.endswith(said)
