"""What is installed is what was meant: the wheel, its metadata, and how little an import costs."""

from __future__ import annotations

import configparser
import email.parser
import email.policy
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from activeclient.version import __version__
from tests.pages import ROOT

BUILT_FROM = ("pyproject.toml", "setup.cfg", "README.md", "LICENSE", "activeclient", "jndi_props")
HEAVY = (
    "asyncio",
    "cachetools",
    "click",
    "cryptography",
    "javaproperties",
    "logging",
    "rich",
    "ssl",
    "stomp",
    "tenacity",
    "threading",
    "typer",
)
"""Modules that the bare import of the package must not bring."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for name in BUILT_FROM:
        origin = ROOT / name
        if origin.is_dir():
            shutil.copytree(origin, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(origin, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", built, source]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> email.message.EmailMessage:
    with zipfile.ZipFile(wheel) as content:
        (name,) = (name for name in content.namelist() if name.endswith(".dist-info/METADATA"))
        return email.parser.BytesParser(policy=email.policy.default).parsebytes(content.read(name))


def test_the_wheel_is_pure_and_of_this_version(wheel: Path) -> None:
    assert wheel.name == f"activeclient-{__version__}-py3-none-any.whl"


def test_the_wheel_has_the_packages_and_their_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
    for package in ("activeclient", "jndi_props"):
        sources = {str(file.relative_to(ROOT)) for file in (ROOT / package).rglob("*.py")}
        assert sources <= names
    assert {"activeclient/py.typed", "jndi_props/py.typed"} <= names
    assert any(re.fullmatch(r"jndi_props/samples/\w[\w-]*\.properties", name) for name in names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert {name.partition("/")[0] for name in names} == {
        "activeclient",
        "jndi_props",
        f"activeclient-{__version__}.dist-info",
    }


def test_the_metadata_says_what_it_needs(metadata: email.message.EmailMessage) -> None:
    assert metadata["Name"] == "activeclient"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] or metadata["License"]
    needed = {
        re.match(r"[\w.-]+", requirement)[0]  # type: ignore[index]
        for requirement in metadata.get_all("Requires-Dist", [])
        if "extra ==" not in requirement
    }
    assert needed == {"cachetools", "javaproperties", "lark", "stomp.py", "tenacity"}


def test_the_program_and_the_pytest_plugin_are_registered(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        (name,) = (name for name in content.namelist() if name.endswith(".dist-info/entry_points.txt"))
        found = configparser.ConfigParser()
        found.read_string(content.read(name).decode())
    assert dict(found["console_scripts"]) == {"activeclient": "activeclient.__main__:main"}
    assert dict(found["pytest11"]) == {"activeclient": "activeclient.testing.plugin"}


def test_each_supported_python_is_named(metadata: email.message.EmailMessage) -> None:
    named = {found[1] for text in metadata.get_all("Classifier", []) if (found := re.search(r":: (3\.\d+)$", text))}
    assert named == {"3.11", "3.12", "3.13", "3.14"}
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in named


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(target)  # a pure wheel is installed by unpacking it
    return target


def run_installed(target: Path, code: str) -> str:
    source = f"import sys; sys.path.insert(0, {str(target)!r})\n{code}"
    ended = subprocess.run([sys.executable, "-I", "-c", source], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_the_installed_wheel_works(installed: Path) -> None:
    code = "import activeclient.client.locator as l; print(l.__file__); print(l.ServerLocator('tcp://h:1'))"
    file, shown = run_installed(installed, code).splitlines()
    assert file.startswith(str(installed))
    assert shown == "<ServerLocator tcp://h:1>"


def test_the_installed_program_tells_its_version(installed: Path) -> None:
    code = "import sys; sys.argv = ['activeclient', '--version']; from activeclient.__main__ import main; main()"
    assert run_installed(installed, code) == f"activeclient {__version__}"


def test_the_import_of_the_package_is_cheap(installed: Path) -> None:
    # Modules and not milliseconds: what is imported is the same on every machine.
    code = f"""
before = set(sys.modules)
import activeclient
new = set(sys.modules) - before
print(sorted(new & set({HEAVY!r})), len(new) < 60)
"""
    assert run_installed(installed, code) == "[] True"


def test_the_locator_imports_no_optional_library(installed: Path) -> None:
    code = """
import activeclient.client.locator
print(sorted({"asyncio", "stomp", "javaproperties", "cryptography", "typer", "rich"} & set(sys.modules)))
"""
    assert run_installed(installed, code) == "[]"
