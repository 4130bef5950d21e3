"""The three assignments, one file each."""

from tools.classroom.question import Sheet
from tools.classroom.sheets.a1 import A1
from tools.classroom.sheets.a2 import A2
from tools.classroom.sheets.a3 import A3

SHEETS: dict[str, Sheet] = {sheet.name: sheet for sheet in (A1, A2, A3)}
