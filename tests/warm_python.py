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
        pid = int.from_bytes(replies.read(4), "big")
        for number in FORWARDED:
            signal.signal(number, lambda number, _: os.kill(pid, number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
        return int.from_bytes(replies.read(4), "big", signed=True)


def serve(address: str, *modules: str) -> None:
    """Fork a process for whoever asks; returns at the end, and in each child when its program has run."""
    import gc
    import select
    from importlib import import_module

    for module in modules:
        import_module(module)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    print("ready", flush=True)
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        head, streams, _, _ = socket.recv_fds(connection, 4, len(STREAMS))
        request = connection.makefile("rb").read(int.from_bytes(head, "big"))
        more, program, arguments, folder, environment = marshal.loads(request)
        for module in filter(None, more):
            import_module(module)
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
            connection.sendall(pid.to_bytes(4, "big"))
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            connection.sendall(code.to_bytes(4, "big", signed=True))
            os._exit(0)
        connection.close()
        for stream in streams:
            os.close(stream)
        with suppress(ChildProcessError):  # none is left to wait for
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


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
            signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        sys.exit(code)
