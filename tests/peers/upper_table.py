"""Prints each character that this Python knows, a tab, and its upper case, as UTF-8."""
import sys
import unicodedata

UNASSIGNED, SURROGATE = "Cn", "Cs"

table = []
for character in map(chr, range(0x20, sys.maxunicode + 1)):
    if unicodedata.category(character) not in (UNASSIGNED, SURROGATE):
        table.append(f"{character}\t{character.upper()}\n")
sys.stdout.buffer.write("".join(table).encode())
