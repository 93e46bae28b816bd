"""A PostgreSQL server of the tests' own: in a temporary folder, on a Unix socket, as an ordinary user."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

USER = "memories"


def find_binaries() -> Path | None:
    """The folder of `initdb` and `pg_ctl`, which is often not on the path; None without a server."""
    folders = [Path(found).resolve().parent] if (found := shutil.which("initdb")) else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


class PostgresServer:
    """One server; `stop` and `start` restart it with what it holds."""

    def __init__(self, *, durable: bool = False) -> None:
        self.binaries = find_binaries()
        assert self.binaries is not None
        # A socket's path must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
        self._as_user: list[str] = []
        if os.geteuid() == 0:  # the server refuses to run as root
            names = {user.pw_name for user in pwd.getpwall()}
            user = "postgres" if "postgres" in names else "nobody"
            shutil.chown(self.folder, user)
            self._as_user = ["runuser", "-u", user, "--"]
        self._run("initdb", "-A", "trust", "-U", USER, "-E", "UTF8", "--no-sync", "--no-locale")
        settings = ["listen_addresses = ''", f"unix_socket_directories = '{self.folder}'"]
        if not durable:
            settings.append("fsync = off")
        with (self.folder / "data" / "postgresql.conf").open("a") as file:
            file.write("\n".join([*settings, "max_connections = 200", ""]))
        self.start()

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "start")

    def stop(self) -> None:
        """Stop it as a power cut would."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def remove(self) -> None:
        """Stop it and delete all it holds."""
        self.stop()
        shutil.rmtree(self.folder)

    def url(self, *, password: str = "") -> str:
        """The URL of an empty schema."""
        user = f"{USER}:{quote(password, safe='')}" if password else USER
        host, schema = quote(str(self.folder), safe=""), f"test_{secrets.token_hex(4)}"
        return f"postgresql://{user}@{host}/postgres?schema={schema}"

    def _run(self, program: str, *options: str) -> None:
        command = [*self._as_user, str(self.binaries / program), "-D", str(self.folder / "data")]
        subprocess.run(
            [*command, *options],
            cwd=self.folder,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
