"""The Java peer: its jars through Maven and its class through javac, into the user's cache folder.

Law of this file: nothing is written into the checkout, and the name of the cached folder carries the versions and a
hash of the sources, so that an older build is never taken for this one.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent / "java"
CLIENTS = (("org.apache.artemis", "2.57.0"), ("org.apache.activemq", "2.44.0"))
"""Group and version of `artemis-core-client`, the newest first; the second is tried when the first does not resolve."""
BUILD_LIMIT = 600.0


class JavaPeerError(Exception):
    """The Java peer cannot be built here; the text says why."""


def command() -> tuple[list[str], str]:
    """The command that runs the peer, built when needed, and the version of its client. JavaPeerError."""
    missing = [program for program in ("java", "javac", "mvn") if shutil.which(program) is None]
    if missing:
        raise JavaPeerError(f"not on the PATH: {', '.join(missing)}")
    reasons = []
    for group, version in CLIENTS:
        try:
            folder = _built(group, version)
        except JavaPeerError as failure:
            reasons.append(f"{version}: {failure}")
            continue
        return ["java", "-cp", f"{folder}/classes:{folder}/jars/*", "CorePeer"], version
    raise JavaPeerError("; ".join(reasons))


def _built(group: str, version: str) -> Path:
    from integration.cache import prepared

    identity = hashlib.sha256()
    for name in ("pom.xml", "CorePeer.java"):
        identity.update((SOURCES / name).read_bytes())

    def build(folder: Path) -> None:
        shutil.copy(SOURCES / "pom.xml", folder / "pom.xml")
        jars, classes = folder / "jars", folder / "classes"
        choice = [f"-Dclient.group={group}", f"-Dclient.version={version}"]
        _run(folder, "mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={jars}", *choice)
        _run(folder, "javac", "-nowarn", "-cp", f"{jars}/*", "-d", str(classes), str(SOURCES / "CorePeer.java"))

    return prepared(f"benchmark-core-client-{version}-{identity.hexdigest()[:12]}", build)


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
        raise JavaPeerError(f"{arguments[0]} failed: {said[0][:200] if said else failure.returncode}") from failure
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise JavaPeerError(f"{arguments[0]} did not work: {failure}") from failure
