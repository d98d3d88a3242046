"""Chatbots and similarities of other packages: installed for real, and broken in every way."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from saywhat import registry
from saywhat.errors import SetupError, UnknownNameError
from saywhat.interfaces import Chatbot, Similarity
from saywhat.similarity.make import make_similarity

pytestmark = pytest.mark.timeout(300)  # the machine may be busy

PLUGIN = Path(__file__).parents[1] / "plugin"
Run = Callable[..., "subprocess.CompletedProcess[str]"]
Package = Callable[..., None]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the example package beside the others, with no network."""
    folder = tmp_path_factory.mktemp("site")
    options = (
        "--quiet --no-index --no-build-isolation --no-deps --disable-pip-version-check".split()
    )
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(folder), str(PLUGIN)],
        check=True,
        timeout=240,
    )
    return folder


@pytest.fixture
def run(site: Path, tmp_path: Path) -> Run:
    """Run the program in a process of its own, in an empty folder, with the package installed."""

    def call(*arguments: str, queries: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "saywhat", *arguments],
            env={**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"},
            cwd=tmp_path,
            input=queries,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return call


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """Put packages with one entry point on the path of this process."""

    def make(
        value: str, *, name: str = "sample", group: str = "chatbots", package: str = "broken-bots"
    ) -> None:
        folder = tmp_path / package
        metadata = folder / f"{package.replace('-', '_')}-1.0.dist-info"
        metadata.mkdir(parents=True)
        metadata.joinpath("METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", encoding="utf-8"
        )
        metadata.joinpath("entry_points.txt").write_text(
            f"[saywhat.{group}]\n{name} = {value}\n", encoding="utf-8"
        )
        (folder / "saywhat_known_factory.py").write_text(
            "import saywhat\n"
            "from saywhat.chatbots.known import EchoChatbot\n"
            "def make(name):\n"
            "    return saywhat.load_chatbot(f'known:{name}')\n"
            "def give_a_class():\n"
            "    return EchoChatbot\n",
            encoding="utf-8",
        )
        monkeypatch.syspath_prepend(folder)

    yield make
    sys.modules.pop("saywhat_known_factory", None)


def test_the_repository_is_left_as_it_was(site: Path) -> None:
    kept = {"pyproject.toml", "saywhat_example_plugin.py", "__pycache__"}
    assert {path.name for path in PLUGIN.iterdir()} <= kept


def test_it_is_listed(run: Run) -> None:
    done = run("list", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["chatbots"]["example"] == "from saywhat_example_plugin:make"
    assert found["similarities"]["word-overlap"] == "from saywhat_example_plugin:WordOverlap"


def test_an_audit_runs_on_it(run: Run, tmp_path: Path) -> None:
    """The only reply that can hold all words of a target is that to a post with all of them."""
    (tmp_path / "targets.txt").write_text("do you like dogs\nzebras fly\n", encoding="utf-8")
    posts = "hi\tx\nyou like dogs\tx\nwhy\tx\n"
    (tmp_path / "posts.tsv").write_text(posts, encoding="utf-8")
    arguments = "--similarity word-overlap --threshold 0.9 --method random --budget 3 --json"
    done = run(
        *["audit", "--chatbot", "example: do", "--targets", "targets.txt"],
        *["--reference", "posts.tsv", "--out", "run", *arguments.split()],
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["chatbot"], summary["similarity"]) == ("example", "word-overlap")
    assert (summary["measured"], summary["elicited"]) == (2, 1)
    lines = (tmp_path / "run" / "findings.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0])["reply"] == "you like dogs do"


def test_what_follows_its_name_is_its_own(run: Run) -> None:
    for spec, reply in (("example", "hi"), ("example:!", "hi!"), ("example:a:b", "hia:b")):
        assert run("chat", "--chatbot", spec, queries="hi\n").stdout == f"{reply}\n"


def test_unknown_names_are_errors_as_before(run: Run) -> None:
    done = run("chat", "--chatbot", "exampel:x", queries="hi\n")
    assert done.returncode == 2
    assert "Unknown chatbot 'exampel:x'" in done.stderr
    assert "example" in done.stderr.partition("Available:")[2]
    assert "Traceback" not in done.stderr


def test_it_has_the_surfaces(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The contract suites run over it too; this is what the registry makes sure of."""
    monkeypatch.syspath_prepend(site)
    chatbot = registry.load_chatbot("example:!")
    assert isinstance(chatbot, Chatbot)
    assert chatbot.fingerprint != registry.load_chatbot("example:?").fingerprint
    similarity = make_similarity("word-overlap", vectors="", centre=Path())
    assert isinstance(similarity, Similarity)
    assert similarity.score(["a b", "", "A!"], ["b c", "", "a"]) == [1 / 3, 0.0, 1.0]


KNOWN = "saywhat_known_factory:make"
BROKEN = {
    "no_such_module:make": "raised ModuleNotFoundError: No module named 'no_such_module'",
    "json:no_such_name": "raised AttributeError",
    "sys:exit": "raised SystemExit: x",
    "json:loads": "raised JSONDecodeError",
    "sys:maxsize": "raised TypeError: 'int' object is not callable",
    "builtins:str": "Expected a Chatbot from 'sample' of the package broken-bots, got str",
}


@pytest.mark.parametrize("value", BROKEN)
def test_a_broken_chatbot_is_explained(value: str, package: Package) -> None:
    package(value)
    with pytest.raises(SetupError, match="of the package broken-bots") as caught:
        registry.load_chatbot("sample:x")
    assert BROKEN[value] in str(caught.value)
    assert value in registry.names("chatbots")["sample"], "listing imports nothing"


@pytest.mark.parametrize("group", ["chatbots", "similarities"])
def test_a_class_for_an_object_is_explained(group: str, package: Package) -> None:
    package("saywhat_known_factory:give_a_class", group=group)
    with pytest.raises(SetupError, match="of the package broken-bots, got the class EchoChatbot"):
        registry.third_party(group, "sample")


def test_an_error_of_its_own_is_passed_on(package: Package) -> None:
    package(KNOWN)
    with pytest.raises(UnknownNameError, match="cipher, deaf, echo"):
        registry.load_chatbot("sample:x")
    assert registry.load_chatbot("sample:echo").name == "echo"


@pytest.mark.parametrize("value", ["no_such_module:make", "builtins:str"])
def test_a_broken_similarity_is_explained(value: str, package: Package) -> None:
    package(value, group="similarities")
    with pytest.raises(SetupError, match="'sample' of the package broken-bots"):
        make_similarity("sample", vectors="", centre=Path())
    with pytest.raises(UnknownNameError, match=r"Available: .*exact, sample"):
        make_similarity("simple", vectors="", centre=Path())


@pytest.mark.parametrize("spec", ["known:echo", "known", "known:", "builtin:x", "command:"])
def test_nobody_takes_a_name_of_ours(spec: str, package: Package) -> None:
    name = spec.partition(":")[0]
    package("saywhat_thief:make", name=name)
    assert name not in registry.names("chatbots") or name == "builtin"
    assert "from saywhat_thief:make" not in registry.names("chatbots").values()
    if spec == "known:echo":
        assert registry.load_chatbot(spec).name == "echo"
    else:
        with pytest.raises(UnknownNameError, match="Unknown chatbot"):
            registry.load_chatbot(spec)


def test_nobody_takes_a_similarity_of_ours(package: Package) -> None:
    package("saywhat_thief:make", name="exact", group="similarities")
    assert make_similarity("exact", vectors="", centre=Path()).name == "exact"
    assert registry.names("similarities")["exact"].startswith("1 if the texts are equal")


def test_two_packages_with_one_name_are_told_apart_by_the_user(package: Package) -> None:
    package(KNOWN)
    package(KNOWN, package="other-bots")
    with pytest.raises(SetupError, match="broken-bots and of other-bots; uninstall one"):
        registry.load_chatbot("sample:echo")
