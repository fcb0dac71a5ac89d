"""What the packages promise: every public name exists, is documented, and is listed in order."""

import importlib
import inspect

import pytest

PACKAGES = [
    "iron_policy",
    "iron_policy.audit",
    "iron_policy.budget",
    "iron_policy.cost",
    "iron_policy.detect",
    "iron_policy.redact",
    "iron_adapters",
    "iron_adapters.langchain",
    "iron_adapters.testing",
    "iron_adapters.wire",
]
DESIGNED = {
    "iron_policy": {
        *(
            "Policy",
            "PolicyEngine",
            "load_policy",
            "scan",
            "Finding",
            "IronError",
            "PolicyDenied",
            "PolicyError",
        ),
        *(
            "ContentBlocked",
            "ModelNotAllowed",
            "ToolNotAllowed",
            "BudgetExceeded",
            "RateLimited",
            "CircuitOpen",
        ),
        *("LoopDetected", "UnknownPrice"),
    },
    "iron_adapters": {"govern"},
    "iron_adapters.langchain": {"IronCallbackHandler", "IronChatModel", "IronMiddleware"},
    "iron_adapters.testing": {"ProviderDouble"},
}


def public_objects():
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            yield pytest.param(getattr(module, name, None), id=f"{package}.{name}")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_lists_what_it_has_in_order_and_says_what_it_is(package):
    module = importlib.import_module(package)

    assert module.__doc__
    assert list(module.__all__) == sorted(set(module.__all__))
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_dir_shows_the_public_names(package):
    module = importlib.import_module(package)

    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("thing", public_objects())
def test_a_public_class_or_function_is_documented(thing):
    if inspect.isclass(thing) or inspect.isroutine(thing):
        assert inspect.getdoc(thing)
        assert "__doc__" not in vars(thing) or vars(thing)["__doc__"], "the docstring is inherited"


@pytest.mark.parametrize(("package", "names"), DESIGNED.items())
def test_promised_names_are_there(package, names):
    assert names <= set(importlib.import_module(package).__all__)


def test_a_name_that_does_not_exist_is_an_attribute_error():
    package = importlib.import_module("iron_adapters")

    with pytest.raises(AttributeError, match="no attribute 'governn'"):
        _ = package.governn
