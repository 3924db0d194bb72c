"""Artemis and Toxiproxy as local files: fetched through Maven and Go, built once, kept in the cache.

Law: versions are pinned here and are part of the cache folder's name. Which registry answers is the business of the
user's Maven and Go settings.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

from integration.cache import prepared

DISTRIBUTION_VERSION = "2.44.0"
SERVER_VERSION = "2.57.0"
TOXIPROXY_VERSION = "v2.5.0"
_JAVA = Path(__file__).parent / "java"
_SLOWEST_BUILD = 900.0  # seconds: downloads over a slow line


class UnavailableError(Exception):
    """A broker or proxy cannot be provided here; the text says what is missing."""


def distribution() -> Path:
    """The unpacked Artemis distribution ("artemis home")."""
    return prepared(f"artemis-{DISTRIBUTION_VERSION}", _build_distribution)


def server_classpath() -> str:
    """Class path of the newest server's jars with the main class `Broker`."""
    identity = hashlib.sha256()
    for name in ("pom.xml", "Broker.java"):
        identity.update((_JAVA / name).read_bytes())
    folder = prepared(f"artemis-server-{SERVER_VERSION}-{identity.hexdigest()[:12]}", _build_server)
    return f"{folder}/classes:{folder}/jars/*"


def toxiproxy_binary() -> Path:
    """The Toxiproxy server program."""
    return prepared(f"toxiproxy-{TOXIPROXY_VERSION}", _build_toxiproxy) / "server"


def warm() -> list[str]:
    """Fetch and build everything; returns the places."""
    return [str(distribution()), server_classpath(), str(toxiproxy_binary())]


def _build_distribution(folder: Path) -> None:
    _need("mvn", "java")
    artifact = f"org.apache.activemq:apache-artemis:{DISTRIBUTION_VERSION}:zip:bin"
    download = folder / "download"
    _run("mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={download}", cwd=folder)
    archive = next(download.glob("*.zip"))
    unpacked = folder / "unpacked"
    with zipfile.ZipFile(archive) as content:
        content.extractall(unpacked)
    for entry in next(unpacked.iterdir()).iterdir():
        entry.rename(folder / entry.name)
    shutil.rmtree(download)
    shutil.rmtree(unpacked)
    shutil.rmtree(folder / "examples", ignore_errors=True)
    (folder / "bin" / "artemis").chmod(0o755)


def _build_server(folder: Path) -> None:
    _need("mvn", "java", "javac")
    jars, classes = folder / "jars", folder / "classes"
    shutil.copy(_JAVA / "pom.xml", folder / "pom.xml")  # Maven writes next to the pom: not into the source tree
    goal = "dependency:copy-dependencies"
    _run("mvn", "-q", "-B", "-f", "pom.xml", goal, f"-DoutputDirectory={jars}", "-DincludeScope=runtime", cwd=folder)
    _run("javac", "-d", str(classes), "-cp", f"{jars}/*", str(_JAVA / "Broker.java"), cwd=folder)


def _build_toxiproxy(folder: Path) -> None:
    _need("go")
    package = f"github.com/Shopify/toxiproxy/v2/cmd/server@{TOXIPROXY_VERSION}"
    _run("go", "install", package, cwd=folder, env={**os.environ, "GOBIN": str(folder)})


def _need(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise UnavailableError(f"not on the PATH: {', '.join(missing)}")


def _run(*command: str, cwd: Path, env: dict[str, str] | None = None) -> None:
    try:
        subprocess.run(
            command, cwd=cwd, env=env, check=True, stdin=subprocess.DEVNULL, timeout=_SLOWEST_BUILD, capture_output=True
        )
    except subprocess.CalledProcessError as failure:
        output = (failure.stdout + failure.stderr).decode(errors="replace")[-1500:]
        raise UnavailableError(f"{command[0]} failed ({failure.returncode}): {output}") from failure
    except (subprocess.TimeoutExpired, OSError) as failure:
        raise UnavailableError(f"{command[0]} did not work: {failure}") from failure
