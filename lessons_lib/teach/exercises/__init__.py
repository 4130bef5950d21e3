"""What the exercises ask: one file for each lesson, with its questions, fixed cases and known mistakes."""
