"""One process that has imported everything, and forks: nbgrader's commands and kernels begin in a fraction of a second."""
