"""Takes every file number below the first argument, and becomes the program that follows it."""
import os
import sys

number = int(sys.argv[1])
while (file := os.dup(0)) < number:
    os.set_inheritable(file, True)
os.execv(sys.argv[2], sys.argv[2:])
