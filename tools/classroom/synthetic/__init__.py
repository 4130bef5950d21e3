"""Students who are no people: their answers are the catalogue's, their troubles those that trackers report."""
