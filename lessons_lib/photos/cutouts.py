"""What a collage is made of: objects cut out of their photographs, tinted grounds, light and shadow."""

from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from lessons_lib.photos import shipped

BACKGROUNDS = ("brick", "grass", "gravel")

_VISIBLE = [0] * 8 + list(range(8, 256))  # alpha below 8 of 255 is not seen
# Darkest and brightest colour that a grey ground is painted with.
_TINTS = {
    "brick": [((92, 50, 40), (226, 164, 134)), ((92, 80, 68), (236, 220, 196)), ((70, 74, 84), (204, 210, 218))],
    "grass": [((18, 40, 16), (150, 190, 98)), ((44, 44, 18), (206, 198, 128)), ((24, 44, 34), (158, 190, 146))],
    "gravel": [((40, 42, 46), (204, 206, 210)), ((58, 46, 36), (224, 204, 176)), ((42, 46, 58), (192, 198, 216))],
}


def turned(kind: str, area: float, angle: float, mirrored: bool, longest: float) -> Image.Image:
    """Return a kind's cut-out (RGBA, trimmed) with `area` pixels, or fewer so that no side of it exceeds `longest`."""
    levels, full_area = _levels(kind)
    scale = np.sqrt(area / full_area)
    flip = np.array([[-1.0 if mirrored else 1.0], [1.0]])
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    turn = np.array([[cos, sin], [-sin, cos]]) * flip  # from pasted to photographed directions
    scale = min(scale, longest / (np.abs(turn.T) @ levels[0][1].size).max())
    shrunk, source = min(
        (level for level in levels if level[0] >= scale), default=levels[0], key=lambda level: level[0]
    )
    width, height = np.ceil(np.abs(turn.T) @ source.size * scale / shrunk).astype(int) + 2
    across = turn * shrunk / scale
    start = np.array(source.size) / 2 - across @ np.array([width, height]) / 2
    matrix = (*across[0], start[0], *across[1], start[1])
    return _trimmed(source.transform((width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC))


def ground(name: str, size: int, gain: np.ndarray, random: np.random.Generator) -> Image.Image:
    """Return a size×size RGB crop of brick, grass or gravel, tinted, under a light given as three channel gains."""
    grey = _texture(name)
    side = int(random.integers(224, 449))
    left, top = random.integers(0, 513 - side, 2)
    crop = grey.resize((size, size), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
    if random.random() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    dark, bright = np.array(_TINTS[name][random.integers(len(_TINTS[name]))], float)
    table = dark + np.linspace(0, 1, 256)[:, None] * (bright - dark)
    return Image.merge("RGB", [crop.point(channel.tolist()) for channel in _bytes(table * gain).T])


def lit(image: Image.Image, gain: np.ndarray) -> Image.Image:
    """Return an RGB image under another light: each channel times its gain, clipped at white."""
    return image.point(_bytes(np.arange(256) * np.asarray(gain)[:, None]).ravel().tolist())


def shade(canvas: Image.Image, alpha: Image.Image, left: int, top: int, sun: np.ndarray) -> None:
    """Darken `canvas` in place where an object to be pasted at (left, top) keeps the light of `sun` (x, y) away."""
    for spread, away, strength in ((0.008, 0.008, 0.5), (0.03, 0.03, 0.4)):  # close under it, and the soft one beside
        blur = spread * canvas.width
        pad = int(np.ceil(2 * blur))
        wide = Image.new("L", (alpha.width + 2 * pad, alpha.height + 2 * pad))
        wide.paste(alpha.point([int(strength * a) for a in range(256)]), (pad, pad))
        wide = wide.filter(ImageFilter.BoxBlur(blur)).filter(ImageFilter.BoxBlur(blur / 2))
        x, y = np.round(np.array([left, top]) - pad - away * canvas.width * sun).astype(int)
        canvas.paste((8, 8, 14), (int(x), int(y), int(x) + wide.width, int(y) + wide.height), wide)


def slope(canvas: Image.Image, sun: np.ndarray, strength: float = 0.25) -> None:
    """Darken `canvas` in place with the distance from the light, from 0 in one corner to `strength` in another."""
    along = np.linspace(-0.5, 0.5, canvas.width) / np.abs(sun).sum()
    shadow = 0.5 - along * sun[0] - along[:, None] * sun[1]
    canvas.paste((0, 0, 0), (0, 0), Image.fromarray(_bytes(255 * strength * shadow)))


@cache
def disc(size: int) -> Image.Image:
    """Return the coverage (L) of a small disc to be pasted in the top left corner of a scene of this size."""
    side, fine = round(0.075 * size), 8
    large = Image.new("L", (side * fine, side * fine))
    ImageDraw.Draw(large).ellipse([0.12 * side * fine, 0.12 * side * fine, side * fine - 1, side * fine - 1], fill=255)
    return large.reduce(fine)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


@cache
def _texture(name: str) -> Image.Image:
    from skimage import data as samples

    grey = np.asarray({"brick": samples.brick, "grass": samples.grass, "gravel": samples.gravel}[name](), float)
    low, high = np.percentile(grey, (1, 99))
    if name == "brick":
        grey = np.rot90(grey)  # its courses stand upright in the photograph
    return Image.fromarray(_bytes((grey - low) / (high - low) * 255))


@cache
def _levels(kind: str) -> tuple[list[tuple[float, Image.Image]], float]:
    """Return a kind's cut-out at scales 1, 0.71, 0.5 … (scale, RGBA), and the area of the largest in pixels."""
    full = _cut(kind)
    levels = [(1.0, full)]
    while min(levels[-1][1].size) > 12:
        scale = 2 ** (-len(levels) / 2)
        smaller = [max(1, round(scale * side)) for side in full.size]
        levels.append((scale, full.resize(smaller, Image.Resampling.BOX)))
    return levels, float(np.asarray(full.getchannel("A"), float).sum() / 255)


def _cut(kind: str) -> Image.Image:
    """Return a kind as RGBA, trimmed, without the colours of the background it was photographed before."""
    from scipy.ndimage import distance_transform_edt, minimum_filter

    name = {"coffee cup": "coffee"}.get(kind, kind)
    pixels, alpha = np.asarray(getattr(shipped, name)().image), shipped.coverage(name)
    if kind == "rocket":
        pixels, alpha = (_shortened(layer) for layer in (pixels, alpha))
        pixels = _bytes(pixels * 1.25)  # it was photographed at dusk
    alpha = _rounded(alpha)
    core = minimum_filter(alpha, 3) >= 1
    far, (rows, columns) = distance_transform_edt(~core, return_indices=True)
    pixels = np.where((far <= 3)[..., None], pixels[rows, columns], pixels)
    cut = Image.fromarray(np.dstack([pixels, np.round(alpha * 255).astype(np.uint8)]))
    return ImageOps.expand(_trimmed(cut), 2)


def _trimmed(cut: Image.Image) -> Image.Image:
    return cut.crop(cut.getchannel("A").point(_VISIBLE).getbbox())


def _shortened(layer: np.ndarray, start: int = 250, stop: int = 375, share: float = 0.4) -> np.ndarray:
    """Take most of the rocket's plain lower tube away, for a rocket of 9 : 1 in the place of 13 : 1."""
    tube = Image.fromarray(layer[start:stop]) if layer.ndim == 3 else Image.fromarray(layer[start:stop], "F")
    short = tube.resize((tube.width, round(share * tube.height)), Image.Resampling.BOX)
    return np.concatenate([layer[:start], np.asarray(short), layer[stop:]])


def _rounded(alpha: np.ndarray) -> np.ndarray:
    """Round off what the photograph's frame cut straight: keep what lies in |x|³ + |y|³ < 1 over the object's box."""
    if not alpha[-1].any():  # whatever the frame cuts, it cuts at the bottom too
        return alpha
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    y, x = (
        (np.arange(n) - (a[0] + a[-1]) / 2) / ((a[-1] - a[0] + 1) / 2)
        for n, a in zip(alpha.shape, (rows, columns), strict=True)
    )
    radius = (np.abs(y[:, None]) ** 3 + np.abs(x) ** 3) ** (1 / 3)
    inside = np.clip((1 - radius) * min(len(rows), len(columns)) / 2 + 0.5, 0, 1)
    return (alpha * inside).astype(np.float32)
