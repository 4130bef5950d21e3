"""The core: from a network and a picture to a heatmap. It knows no photograph, no embedded network and no lesson."""
