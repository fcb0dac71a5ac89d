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
    "iron_adapters.completions",
    "iron_adapters.control_plane",
    "iron_adapters.langchain",
    "iron_adapters.testing",
    "iron_adapters.wire",
    "iron_cage",
    "iron_sdk",
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
    "iron_adapters": {"govern", "install", "uninstall", "protect_agent", "completion", "acompletion"},
    "iron_adapters.langchain": {"IronCallbackHandler", "IronChatModel", "IronMiddleware", "IronEmbeddings"},
    "iron_adapters.testing": {"ProviderDouble"},
    "iron_sdk": {"protect_agent", "completion", "acompletion"},
    "iron_cage": {"protect_agent", "completion", "acompletion"},
}


def constants_classes_others(name):
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def own_doc(thing):
    """Return the docstring that *thing* has itself, not one that it inherits."""
    return vars(thing).get("__doc__") if inspect.isclass(thing) else inspect.getdoc(thing)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_lists_what_it_has_in_order_and_says_what_it_is(package):
    module = importlib.import_module(package)

    assert module.__doc__
    assert list(module.__all__) == sorted(set(module.__all__), key=constants_classes_others)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_dir_shows_the_public_names(package):
    module = importlib.import_module(package)

    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("package", PACKAGES)
def test_public_classes_and_functions_are_documented(package):
    module = importlib.import_module(package)
    things = {name: getattr(module, name) for name in module.__all__}

    assert [
        name
        for name, thing in things.items()
        if (inspect.isclass(thing) or inspect.isroutine(thing)) and not own_doc(thing)
    ] == []


@pytest.mark.parametrize(("package", "names"), DESIGNED.items())
def test_promised_names_are_there(package, names):
    assert names <= set(importlib.import_module(package).__all__)


def test_a_name_that_does_not_exist_is_an_attribute_error():
    package = importlib.import_module("iron_adapters")

    with pytest.raises(AttributeError, match="no attribute 'governn'"):
        _ = package.governn
