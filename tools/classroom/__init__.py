"""The classroom: assignments from the catalogue of exercises, graded by nbgrader, one student at a time."""

import sys

sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type] # jsonschema does without; it takes seconds
