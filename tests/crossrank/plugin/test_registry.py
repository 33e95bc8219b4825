"""The plugin host: names without imports, and a broken plugin that harms nobody."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

import crossrank as cr
from crossrank.errors import PluginError, UnknownPluginError
from crossrank.plugin import registry
from toys.basic import DotReranker, ToyEncoder

HEAD = """
import crossrank as cr

class Plugin(cr.Reranker):
    info = cr.RerankerInfo(name="{name}", summary="a summary", paper="a paper")

    def score(self, block, state):
        raise NotImplementedError
"""
HOOK = """
@cr.hookimpl
def crossrank_reranker():
    return Plugin
"""
GOOD = HEAD + HOOK

Install = Callable[..., None]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start every test with nothing loaded and nothing registered."""
    monkeypatch.setattr(registry, "_loaded", {})
    monkeypatch.setattr(registry, "_registered", {})


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return what installs a distribution: a module, and the metadata that names it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    counter = iter(range(99))

    def installed(
        source: str,
        name: str = "mine",
        group: str = "crossrank.rerankers",
        distribution: str | None = None,
        target: str | None = None,
    ) -> None:
        number = next(counter)
        module = f"thirdparty_{tmp_path.name}_{number}".replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source.format(name=name))
        who = distribution if distribution is not None else f"dist{number}"
        info = tmp_path / f"{who}-1.{number}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {who}\nVersion: 1.{number}\n")
        value = module if target is None else target.format(module=module)
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {value}\n")

    return installed


def record(name: str) -> registry.PluginRecord:
    others = (each for each in registry.records() if not each.distribution.startswith("crossrank "))
    (found,) = (each for each in others if each.name == name)
    return found


def test_names_are_listed_without_importing_anything(install: Install) -> None:
    install("raise RuntimeError('imported')")
    assert "mine" in registry.names("reranker")
    assert "mine" not in registry.names("encoder")
    assert not [name for name in sys.modules if name.startswith("thirdparty_test_names_are")]


def test_a_plugin_is_imported_when_it_is_used(install: Install) -> None:
    install(GOOD)
    assert cr.Stage("mine").scorer.info.summary == "a summary"
    assert registry.load_reranker("mine") is registry.load_reranker("mine")
    assert record("mine") == registry.PluginRecord(
        "reranker", "mine", "dist0 1.0", "a summary", "a paper"
    )


IMPORTS = """
import sys
import {module}
heavy = ("torch", "transformers", "spacy", "onnxruntime", "matplotlib", "skimage", "sklearn")
print([name for name in heavy if name in sys.modules])
"""


@pytest.mark.parametrize("module", ["crossrank", "crossrank.testing", "crossrank.plugin.registry"])
def test_importing_the_core_loads_nothing_heavy(module: str) -> None:
    assert run(IMPORTS.format(module=module)) == "[]"


def test_listing_names_imports_no_plugin() -> None:
    code = (
        "import sys; from crossrank.plugin import registry; "
        "found = [registry.names(kind) for kind in registry.GROUPS]; "
        "assert {'filip'} <= set(found[0]) and {'lite', 'clip'} <= set(found[1]), found; "
        "print([name for name in sys.modules if name.startswith('crossrank_')])"
    )
    assert run(code) == "[]"


def test_built_in_plugins_load_without_their_heavy_packages() -> None:
    code = (
        "import sys; from crossrank.plugin import registry; "
        "broken = [each for each in registry.records() if each.error]; "
        "heavy = {'torch', 'transformers', 'spacy', 'onnxruntime'} & set(sys.modules); "
        "print(broken, sorted(heavy))"
    )
    assert run(code) == "[] []"


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


BROKEN = {
    "import error": ("import no_such_package", {}, "ModuleNotFoundError: No module named 'no_such"),
    "syntax error": ("def broken(:", {}, "SyntaxError"),
    "exit": ("raise SystemExit('licence expired')", {}, "SystemExit: licence expired"),
    "interrupt": ("raise KeyboardInterrupt", {}, "KeyboardInterrupt"),
    "something of its own": (
        "class Stop(BaseException): pass\nraise Stop('enough')",
        {},
        "Stop: enough",
    ),
    "any error": ("1 / 0", {}, "ZeroDivisionError"),
    "no such module": ("", {"target": "no_such_module"}, "ModuleNotFoundError"),
    "no such attribute": ("", {"target": "{module}:missing"}, "AttributeError"),
    "not an entry point": ("", {"target": "what is this?!"}, "could not be loaded"),
    "hook missing": (HEAD, {}, r"does not implement the hook crossrank_reranker\(\)"),
    "hook of another kind": (
        HEAD + HOOK,
        {"group": "crossrank.encoders"},
        r"does not implement the hook crossrank_encoder\(\)",
    ),
    "hook with arguments": (
        GOOD.replace("crossrank_reranker()", "crossrank_reranker(surprise)"),
        {},
        "PluginValidationError",
    ),
    "hook that raises": (
        HEAD + HOOK.replace("return Plugin", "raise OSError('no weights')"),
        {},
        "OSError: no weights",
    ),
    "hook that exits": (
        HEAD + HOOK.replace("return Plugin", "raise SystemExit(3)"),
        {},
        "SystemExit",
    ),
    "wrong object": (HEAD + HOOK.replace("Plugin", "3"), {}, "is not a subclass of"),
    "an instance": (
        HEAD + HOOK.replace("Plugin", "object"),
        {},
        "not a subclass of crossrank.Reranker",
    ),
    "nothing": (HEAD + HOOK.replace("return Plugin", "pass"), {}, "None is not a subclass"),
    "no info": (GOOD.replace("info =", "about ="), {}, "info must be a RerankerInfo"),
    "no score": (GOOD.replace("def score", "def rate"), {}, "does not define score"),
    "another name": (
        GOOD.replace("{name}", "yours"),
        {},
        "info.name is 'yours'; it must be the entry point's name",
    ),
}


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let an interrupt reach this process, which a shell's background jobs ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_by_the_user_is_none_of_a_plugin(install: Install) -> None:
    install(
        "import signal\nsignal.raise_signal(signal.SIGINT)\n" + GOOD,  # to this thread, now
        name="broken",
        distribution="culprit",
    )
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        registry.load_reranker("broken")
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_plugin_is_reported_and_harms_nobody(install: Install, what: str) -> None:
    source, options, message = BROKEN[what]
    install(source, name="broken", distribution="culprit", **options)
    install(GOOD, name="healthy")
    kind = "encoder" if "group" in options else "reranker"
    load = registry.load_encoder if kind == "encoder" else registry.load_reranker

    with pytest.raises(PluginError, match=message) as caught:
        load("broken")
    assert "'broken'" in str(caught.value) and "\n" not in str(caught.value)

    records = {each.name: each for each in registry.records()}
    assert records["broken"].kind == kind
    assert records["broken"].distribution.startswith("culprit 1.")
    assert records["broken"].error == str(caught.value)
    assert not records["healthy"].error
    assert registry.load_reranker("healthy").info.name == "healthy"


def test_metadata_that_cannot_be_read_hides_nothing_else(
    install: Install, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    install(GOOD)
    install("", name="bad", distribution="culprit")
    (tmp_path / "culprit-1.1.dist-info" / "entry_points.txt").write_text(
        "[crossrank.rerankers]\nno equals sign\n"
    )
    assert registry.load_reranker("mine").info.name == "mine"
    assert {"mine", "filip"} <= set(registry.names("reranker"))
    assert "the entry points of culprit cannot be read" in caplog.text


def test_a_distribution_without_a_name_is_reported_as_unknown(
    install: Install, tmp_path: Path
) -> None:
    install("1 / 0", distribution="nameless")
    (tmp_path / "nameless-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\n")
    assert record("mine").distribution == "(unknown distribution)"


def test_a_plugin_that_failed_may_be_mended(install: Install, tmp_path: Path) -> None:
    marker = tmp_path / "mended"
    install(f"import pathlib\nif not pathlib.Path({str(marker)!r}).exists(): 1 / 0\n" + GOOD)
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        registry.load_reranker("mine")
    marker.touch()
    assert registry.load_reranker("mine").info.name == "mine"


def test_two_distributions_with_one_name_are_an_error_when_it_is_used(install: Install) -> None:
    install(GOOD, distribution="first")
    install(GOOD, distribution="second")
    assert registry.names("reranker").count("mine") == 1
    message = "'mine' is claimed by first 1.0 and second 1.1; uninstall one of them"
    with pytest.raises(PluginError, match=message):
        registry.load_reranker("mine")
    reported = record("mine")
    assert message in reported.error
    assert reported.distribution == "first 1.0, second 1.1"


def test_a_reranker_and_an_encoder_may_share_a_name(install: Install) -> None:
    install(GOOD)
    cr.register(type("Mine", (ToyEncoder,), {"info": replace(ToyEncoder.info, name="mine")}))
    assert registry.load_reranker("mine").info.summary == "a summary"
    assert registry.load_encoder("mine").info.summary == ToyEncoder.info.summary


@pytest.mark.parametrize(
    ("wrong", "offer"),
    [("filp", "did you mean 'filip'"), ("xyzzy", r"there are .*cprd, .* and \d+ more")],
)
def test_an_unknown_name_offers_the_nearest(wrong: str, offer: str) -> None:
    with pytest.raises(UnknownPluginError, match=f"no reranker is called '{wrong}'; {offer}"):
        cr.Stage(wrong)
    with pytest.raises(UnknownPluginError, match="no encoder is called 'lit'; did you mean 'lite'"):
        cr.encode("lit", ["a text"])


def test_a_class_may_be_registered_at_run_time() -> None:
    assert cr.register(DotReranker) is DotReranker
    assert registry.load_reranker("dot") is DotReranker
    assert record("dot").distribution == "(run time)"
    assert cr.register(DotReranker) is DotReranker


def test_a_redefined_class_takes_the_place_of_the_first() -> None:
    """As when a cell of a notebook is run again."""

    def define(summary: str) -> type[cr.Reranker]:
        class Mine(DotReranker):
            info = replace(DotReranker.info, name="mine", summary=summary)

        return cr.register(Mine)  # type: ignore[no-any-return]  # register returns what it is given

    first, second = define("first"), define("second")
    assert registry.load_reranker("mine") is second is not first


def test_a_name_that_is_taken_is_refused(install: Install) -> None:
    cr.register(DotReranker)
    other = type("Other", (DotReranker,), {})
    with pytest.raises(PluginError, match="another reranker called 'dot'; rename one"):
        cr.register(other)
    install(GOOD)
    with pytest.raises(PluginError, match="another reranker called 'mine'"):
        cr.register(type("Mine", (DotReranker,), {"info": replace(DotReranker.info, name="mine")}))
    assert registry.load_reranker("mine").info.summary == "a summary"


@pytest.mark.parametrize("wrong", [None, "dot", object, DotReranker(), cr.Reranker])
def test_only_complete_classes_are_registered(wrong: Any) -> None:
    with pytest.raises(PluginError, match=r"register.*(neither|must be a RerankerInfo)"):
        cr.register(wrong)


def test_register_is_a_decorator() -> None:
    @cr.register
    class Decorated(DotReranker):
        info = replace(DotReranker.info, name="decorated")

    assert registry.load_reranker("decorated") is Decorated


COMMAND = """
import click
import crossrank as cr

@cr.hookimpl
def crossrank_commands(group):
    group.add_command(click.Command("{name}"))
"""


def test_commands_are_added_to_the_group(install: Install) -> None:
    install(COMMAND, name="inspect", group="crossrank.commands")
    install("1 / 0", name="bad", group="crossrank.commands")
    group = click.Group()
    registry.load_commands("inspect", group)
    assert list(group.commands) == ["inspect"]
    with pytest.raises(PluginError, match=r"the command 'bad' of dist1 1\.1 could not be loaded"):
        registry.load_commands("bad", group)
    assert (record("inspect").error, record("inspect").kind) == ("", "command")


ONE_LINE = """
import click
from crossrank.plugin.hookspecs import adds, gives

crossrank_reranker = gives("{place}")
crossrank_commands = adds(click.Command("inspect"))
"""


def test_a_hook_may_be_one_line(install: Install) -> None:
    install(ONE_LINE.format(place="toys.basic:DotReranker"), name="dot")
    install(ONE_LINE.format(place="toys:Nothing"), name="inspect", group="crossrank.commands")
    install(ONE_LINE.format(place="toys.basic:Nobody"), name="nobody")
    assert registry.load_reranker("dot") is DotReranker
    group = click.Group()
    registry.load_commands("inspect", group)
    assert list(group.commands) == ["inspect"]
    with pytest.raises(PluginError, match=r"the reranker 'nobody' .*AttributeError.*Nobody"):
        registry.load_reranker("nobody")


def test_a_command_that_fails_to_join_is_named(install: Install) -> None:
    install(
        COMMAND.replace("group.add_command", "group.no_such_method"),
        name="inspect",
        group="crossrank.commands",
    )
    with pytest.raises(PluginError, match=r"the command 'inspect' of dist0 1\.0.*AttributeError"):
        registry.load_commands("inspect", click.Group())


def test_an_encoder_is_found_by_what_it_gives(install: Install) -> None:
    install("1 / 0", name="broken", group="crossrank.encoders")
    cr.register(ToyEncoder)
    assert "toy" in registry.providers("token_text", "text")
    assert "toy" not in registry.providers("token_text", "image")


def test_threads_load_a_plugin_once(install: Install) -> None:
    from concurrent.futures import ThreadPoolExecutor

    install("import time\ntime.sleep(0.05)\n" + GOOD)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(registry.load_reranker, ["mine"] * 8))
    assert len(set(found)) == 1
