"""Runs a program on a terminal, types standard input there, and prints what is shown. Usage: terminal.py PROGRAM [ARGUMENT...]"""
import os
import pty
import sys
import termios

END_OF_FILE = b"\x04"

pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
settings = termios.tcgetattr(terminal)
settings[3] &= ~termios.ECHO  # what is typed does not mix with what is shown
termios.tcsetattr(terminal, termios.TCSANOW, settings)
os.write(terminal, sys.stdin.buffer.read() + END_OF_FILE)
shown = b""
try:
    while chunk := os.read(terminal, 4096):
        shown += chunk
except OSError:
    pass  # the program has ended
sys.stdout.buffer.write(shown.replace(b"\r\n", b"\n"))
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
