"""Small Java programs on Artemis' Java clients: jars through Maven and classes through javac, into the user's cache.

Law: nothing is written into the checkout, and the name of the cached folder carries the version of the client and a
hash of the sources, so that an older build is never taken for this one.
"""

from __future__ import annotations

import functools
import hashlib
import shutil
import subprocess
from pathlib import Path

from integration.cache import prepared
from integration.toolchain import UnavailableError

CLIENTS = (("org.apache.artemis", "2.57.0"), ("org.apache.activemq", "2.44.0"))
"""Group and version of the client jars, the newest first; the next is tried when one does not resolve."""
BUILD_LIMIT = 600.0


@functools.cache
def java_command(name: str, sources: Path, main: str) -> tuple[tuple[str, ...], str]:
    """The command that runs class *main* of the folder *sources*, built when needed, and the version of its client.

    *sources* has a `pom.xml` with the properties `client.group` and `client.version`. UnavailableError: it cannot be
    built here; the text says why.
    """
    missing = [program for program in ("java", "javac", "mvn") if shutil.which(program) is None]
    if missing:
        raise UnavailableError(f"not on the PATH: {', '.join(missing)}")
    reasons = []
    for group, version in CLIENTS:
        try:
            folder = _built(name, sources, group, version)
        except UnavailableError as failure:
            reasons.append(f"{version}: {failure}")
            continue
        return ("java", "-cp", f"{folder}/classes:{folder}/jars/*", main), version
    raise UnavailableError("; ".join(reasons))


def _built(name: str, sources: Path, group: str, version: str) -> Path:
    programs = sorted(sources.glob("*.java"))
    identity = hashlib.sha256()
    for source in (sources / "pom.xml", *programs):
        identity.update(source.read_bytes())

    def build(folder: Path) -> None:
        shutil.copy(sources / "pom.xml", folder / "pom.xml")
        jars, classes = folder / "jars", folder / "classes"
        choice = [f"-Dclient.group={group}", f"-Dclient.version={version}"]
        _run(folder, "mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={jars}", *choice)
        _run(folder, "javac", "-nowarn", "-cp", f"{jars}/*", "-d", str(classes), *map(str, programs))

    return prepared(f"{name}-{version}-{identity.hexdigest()[:12]}", build)


def _run(folder: Path, *arguments: str) -> None:
    try:
        subprocess.run(
            arguments,
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=BUILD_LIMIT,
        )
    except subprocess.CalledProcessError as failure:
        said = [line for line in (failure.stdout + failure.stderr).splitlines() if line.strip()]
        raise UnavailableError(f"{arguments[0]} failed: {said[0][:200] if said else failure.returncode}") from failure
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise UnavailableError(f"{arguments[0]} did not work: {failure}") from failure
