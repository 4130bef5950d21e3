"""One process that has imported everything, and forks: nbgrader's commands and kernels begin at once."""
