"""Where in the picture each number of a layer's output comes from, found by following one run."""
