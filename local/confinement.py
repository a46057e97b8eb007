"""The user and the file system that a container has, for a process of this machine.

On Fargate a container runs as the user of its definition, or of its image, and writes to its volumes alone where its
definition has readonlyRootFilesystem. Where this machine permits it, so does a container's process here: root on Linux
may be another user, and may have a view of the file system of its own (`mount_namespaces(7)`). Elsewhere, as on macOS
or without root, a process runs as whoever started it.

Run as a program, by root, it makes the view and becomes the command:

    python -I confinement.py WRITABLE... -- COMMAND...
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Of the users that an image may name, those that are known without its /etc/passwd: root, and Wolfi's other one.
NAMED = {"": "0:0", "root": "0:0", "nonroot": "65532:65532"}
# What Docker leaves to root in a container (Docker Engine security, Linux kernel capabilities), and ECS with it
# (KernelCapabilities in the API reference).
OF_ROOT = (
    *("audit_write", "chown", "dac_override", "fowner", "fsetid", "kill", "mknod", "net_bind_service", "net_raw"),
    *("setfcap", "setgid", "setpcap", "setuid", "sys_chroot"),
)
# To read what is closed to others: an image has no such folder above its files, a checkout below /root has. The secure
# bit is for access(2), by which a shell looks whether it may read a file: it forgets the capability without.
OF_OTHERS = ("dac_read_search",)
SECURE_BITS = "--securebits=+no_setuid_fixup"

# From <linux/sched.h> and <linux/mount.h>.
CLONE_NEWNS = 0x20000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x1, 0x20, 0x1000, 0x4000, 0x40000
KEPT = {"nosuid": 0x2, "nodev": 0x4, "noexec": 0x8, "noatime": 0x400, "nodiratime": 0x800, "relatime": 0x200000}
# Docker has these of its own, and leaves them writable to whoever may write there.
APART = ("/proc/", "/sys/", "/dev/")


def ids(user: str) -> tuple[int, int]:
    """The numbers of a `user` as a container definition or a Dockerfile gives it: `65532:65532`, `1000`, `root`.

    Raises
    ------
    ValueError
        A name that stands in an image's /etc/passwd, which is not known here.
    """
    found = re.fullmatch(r"(\d+)(?::(\d+))?", NAMED.get(user, user))
    if found is None:
        raise ValueError(f"unable to find user {user}: no /etc/passwd of an image is known here, give it as UID:GID")
    return int(found[1]), int(found[2] or 0)  # without a group it is root's, as Docker has it


def user_of(dockerfile: Path) -> str:
    """The user of an image, by the last USER of its Dockerfile; root's empty name where it has none."""
    found = re.findall(r"(?m)^USER +(\S+)", dockerfile.read_text()) if dockerfile.exists() else []
    return str(found[-1]) if found else ""


@dataclass(frozen=True, kw_only=True)
class Confinement:
    """What a container may be and write.

    Parameters
    ----------
    user
        As its definition or its image gives it, see `ids`.
    writable
        The folders that it may write to, as far as they belong to it; None where the root file system is writable.
    """

    user: str = ""
    writable: tuple[Path, ...] | None = None

    def command(self, command: Sequence[str]) -> list[str]:
        """The command line that runs `command` like this; the command itself where this machine does not permit it."""
        ids(self.user)
        return self._command(command) if possible() else [*command]

    def own(self, *folders: Path) -> None:
        """Give the folders to the user, where a process is going to be that user."""
        for folder in folders if possible() else ():
            os.chown(folder, *ids(self.user))

    def _command(self, command: Sequence[str]) -> list[str]:
        uid, gid = ids(self.user)
        own = [f"+{name}" for name in (OF_OTHERS if uid else OF_ROOT)]
        capabilities = ",".join(["-all", *own])
        passed = [f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}", SECURE_BITS] if uid else []
        become = [
            *(shutil.which("setpriv") or "setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"),
            *(f"--bounding-set={capabilities}", *passed),
            "--no-new-privs",  # this machine has programs that make root of anybody, an image has none
            *command,
        ]
        if self.writable is None:
            return become
        return [sys.executable, "-I", __file__, *map(str, self.writable), "--", *become]


@functools.cache
def possible() -> bool:
    """Whether this machine permits it: root on Linux, with setpriv (util-linux) and mounts of its own."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    attempt = Confinement(user="nonroot", writable=())._command(["true"])
    try:
        done = subprocess.run(attempt, cwd="/", capture_output=True, timeout=60, check=False)  # noqa: S603 - ours
        return done.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def view(writable: Sequence[str]) -> None:
    """Let this process see all file systems read-only but these folders, whatever others see.

    Raises
    ------
    OSError
        The machine does not permit it.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *arguments: object) -> None:
        if getattr(libc, name)(*arguments):
            number = ctypes.get_errno()
            raise OSError(number, f"{name}: {os.strerror(number)}", arguments[1] if len(arguments) > 1 else None)

    def mount(source: str, target: str, flags: int) -> None:
        call("mount", os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(flags), None)

    call("unshare", CLONE_NEWNS)
    mount("none", "/", MS_REC | MS_PRIVATE)
    mounted = Path("/proc/self/mountinfo").read_text().splitlines()
    for folder in writable:
        mount(folder, folder, MS_BIND)
    for line in mounted:
        _, _, _, _, escaped, options, *_ = line.split(" ")
        place = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), escaped)
        if f"{place}/".startswith(APART) or place in writable:
            continue
        kept = sum(flag for name, flag in KEPT.items() if name in options.split(","))
        try:
            mount("none", place, MS_REMOUNT | MS_BIND | MS_RDONLY | kept)
        except OSError:
            if place == "/":  # any other may be hidden below a later one
                raise


def main(arguments: list[str]) -> None:
    """Make the view and become the command."""
    end = arguments.index("--")
    view(arguments[:end])
    command = arguments[end + 1 :]
    os.execv(command[0], command)  # noqa: S606 - the container's own


if __name__ == "__main__":
    main(sys.argv[1:])
