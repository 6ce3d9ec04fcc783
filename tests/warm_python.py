"""Starts Python programs without the seconds that importing torch takes.

    python warm_python.py serve SOCKET MODULE...  # imports them, prints a line, ends with its standard input
    python -IS warm_python.py run SOCKET MODULE,... PROGRAM ARGUMENT...

The second does what `python -c PROGRAM ARGUMENT...` does, with its own folder, environment, streams, signals
(but SIGKILL) and exit code: it has the server fork a process for it, in which those modules are imported, and
the ones that it names. Nothing of this project is: the program imports that itself, in its own order. What is
set up for a process before Python starts, limits or closed streams, the program does not get to feel.
"""

import marshal
import os
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from typing import BinaryIO

STREAMS = (0, 1, 2)
FORWARDED = (signal.SIGINT, signal.SIGTERM)


def run(address: str, modules: str, program: str, *arguments: str) -> int:
    """Have the server run the program; its exit code, negative for a signal."""
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)  # until it is known whom to send them to
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        request = marshal.dumps((modules.split(","), program, arguments, os.getcwd(), dict(os.environ)))
        socket.send_fds(server, [len(request).to_bytes(4, "big")], STREAMS)
        server.sendall(request)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in STREAMS:  # pipes are the program's alone
            os.dup2(nowhere, stream)
        replies = server.makefile("rb")
        pid = number_from(replies)
        for number in FORWARDED:
            signal.signal(number, lambda number, _: os.kill(pid, number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
        code = number_from(replies)
        signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)  # the program has ended
        return code


def number_from(replies: BinaryIO) -> int:
    """What the server says next; ends this process where it is gone, or lacks what it was asked for."""
    reply = replies.read(4)
    if len(reply) < 4:
        sys.exit(1)
    return int.from_bytes(reply, "big", signed=True)


def serve(address: str, *modules: str) -> None:
    """Fork a process for whoever asks; returns at the end, and in each child when its program has run."""
    import gc
    import select

    for module in modules:
        import_module(module)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    print("ready", flush=True)
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        head, streams, _, _ = socket.recv_fds(connection, 4, len(STREAMS))
        asked = understood(connection, int.from_bytes(head, "big"))
        if asked is not None:
            program, arguments, folder, environment = asked
            gc.freeze()  # the children do not look through what is imported, page by page, at their end
            if os.fork() == 0:
                listener.close()
                if (pid := os.fork()) == 0:
                    connection.close()
                    for number, stream in zip(STREAMS, streams, strict=True):
                        os.dup2(stream, number)
                        os.close(stream)
                    os.chdir(folder)
                    os.environ.clear()
                    os.environ.update(environment)
                    open_streams()
                    sys.argv, sys.path[0] = ["-c", *arguments], ""
                    exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})
                    return
                for stream in streams:
                    os.close(stream)
                connection.sendall(pid.to_bytes(4, "big", signed=True))
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                connection.sendall(code.to_bytes(4, "big", signed=True))
                os._exit(0)
        connection.close()
        for stream in streams:
            os.close(stream)
        with suppress(ChildProcessError):  # none is left to wait for
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def understood(connection: socket.socket, length: int) -> tuple | None:
    """Program, arguments, folder and environment, its modules imported; None of a client that went away, or
    asks for what is not installed."""
    try:
        request = connection.makefile("rb").read(length)
        modules, *asked = marshal.loads(request)
        for module in filter(None, modules):
            import_module(module)
    except (EOFError, ImportError):
        return None
    return tuple(asked)


def open_streams() -> None:
    """Standard streams as Python makes them when it starts."""
    from io import TextIOWrapper

    at_once = bool(os.environ.get("PYTHONUNBUFFERED"))
    sys.stdin = sys.__stdin__ = os.fdopen(0, closefd=False)
    out, err = (os.fdopen(number, "wb", 0 if at_once else -1, closefd=False) for number in (1, 2))
    sys.stdout = sys.__stdout__ = TextIOWrapper(out, write_through=at_once)
    sys.stderr = sys.__stderr__ = TextIOWrapper(
        err, errors="backslashreplace", line_buffering=True, write_through=at_once
    )


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(*sys.argv[2:])
    else:
        code = run(*sys.argv[2:])
        if code < 0:
            with suppress(OSError):  # SIGKILL has no other
                signal.signal(-code, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
            os.kill(os.getpid(), -code)
        sys.exit(code)
