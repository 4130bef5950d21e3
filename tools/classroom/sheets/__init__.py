"""The three assignments, one file each."""

from tools.classroom.question import Sheet
from tools.classroom.sheets.a1 import A1

SHEETS: dict[str, Sheet] = {sheet.name: sheet for sheet in (A1,)}
