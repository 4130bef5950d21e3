"""The classroom: assignments from the catalogue of exercises, graded by nbgrader, one student at a time."""
