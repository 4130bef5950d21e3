"""Choosing a photo, a network and a question by hand, and seeing the map, its words and its code at once."""
