"""What starts programs for the tests fails where they do."""

import socket
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere programs start as usual")


def test_a_program_keeps_its_exit_code_and_streams(python_program):
    program = "import sys; print(sys.argv[1:], sys.stdin.read()); sys.exit(7)"
    done = subprocess.run([*python_program(program), "a"], input="in", capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (7, "['a'] in\n", "")


def test_a_program_that_is_killed_is_no_success(python_program):
    command = python_program("import os; os.kill(os.getpid(), 9)")
    assert subprocess.run(command, capture_output=True).returncode == -9


def test_a_client_that_fails_leaves_the_others(python_program):
    assert subprocess.run(python_program("pass", "no_such_module"), check=False).returncode == 1
    with socket.socket(socket.AF_UNIX) as gone:
        gone.connect(python_program("pass")[-3])
    assert subprocess.run(python_program("raise SystemExit(3)"), check=False).returncode == 3
