"""The engine: tensors and modules only. What a network did is seen here, and the network is left as it was."""
