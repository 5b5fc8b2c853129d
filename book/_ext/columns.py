"""Where a figure of several panels may be cut into columns: where it is white from top to bottom, and nowhere else.

``of_lines`` reads from an SVG of matplotlib where ink is and which axes it belongs to; ``of_pixels`` finds frames and white
in a PNG. A color bar belongs to the panel on its left.
"""

import functools
import re
import xml.etree.ElementTree as ET
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageFont

POINT = 96 / 72  # pixels on the page
NARROW = 60  # pixels on the page: a frame that is narrower is a color bar
HIGH = 40  # no letter is as high as a frame, a map or a color bar
LETTERS = 3.5  # no two letters of a word are as far apart
TICKS = 10  # what is within that of a frame is its ticks
NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")


class Column(NamedTuple):
    """Panels above each other: where their ink begins and ends, and whether the y axis has labels.

    The labels end at ``labels``, where ink is on neither side alone (0: there is no such place).
    """

    left: float
    right: float
    labeled: bool
    labels: float


class Ink(NamedTuple):
    """What is drawn: where it begins and ends, and the axes that it belongs to (none, if it is of the figure)."""

    left: float
    right: float
    owner: str
    text: bool = False


def merged(intervals: list[tuple[float, float]], gap: float = 0) -> list[tuple[float, float]]:
    """The union of intervals, from left to right; those less than ``gap`` apart are one."""
    found: list[tuple[float, float]] = []
    for left, right in sorted(intervals):
        if found and left < found[-1][1] + gap:
            found[-1] = found[-1][0], max(right, found[-1][1])
        else:
            found.append((left, right))
    return found


def matrix(transform: str) -> np.ndarray:
    """The affine map of a transform attribute, as matplotlib writes them."""
    total = np.eye(3)
    for name, arguments in re.findall(r"(\w+)\(([^)]*)\)", transform):
        a = [float(one) for one in NUMBER.findall(arguments)]
        one = np.eye(3)
        if name == "rotate":
            c, s = np.cos(np.radians(a[0])), np.sin(np.radians(a[0]))
            center = np.array(a[1:] or (0, 0))
            one[:2, :2] = (c, -s), (s, c)
            one[:2, 2] = center - one[:2, :2] @ center
        else:
            x, y = a[0], a[-1]
            values = {"translate": (1, 0, 0, 1, x, y), "scale": (x, 0, 0, y, 0, 0), "matrix": a}[name]
            one[:2] = np.reshape(values, (3, 2)).T
        total = total @ one
    return total


@functools.cache
def length(text: str) -> float:
    """Of a line of text, in sizes of its type; that of DejaVu Sans, the widest of the fonts that a browser may take."""
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 100).getlength(text) / 100


def corners(node: ET.Element) -> list[tuple[float, float]]:
    """Points around what an element draws, in its own coordinates; none for a group."""
    if node.tag == "path":
        n = [float(one) for one in NUMBER.findall(node.get("d", ""))]
        return [*zip(n[::2], n[1::2], strict=True)]
    if node.tag in ("image", "rect"):
        x, y, wide, high = (float(node.get(key, 0)) for key in ("x", "y", "width", "height"))
    elif node.tag in ("text", "tspan") and (words := (node.text or "").strip()):
        style, x, y = node.get("style", ""), *(float(node.get(key, "0").split()[0]) for key in "xy")
        high = float((re.search(r"([\d.]+)px", style) or "10")[1])
        wide = high * length(words)
        x -= wide * (0.5 if "anchor: middle" in style else "anchor: end" in style)
        y, high = y - high, 1.3 * high
    else:
        return []
    return [(x, y), (x + wide, y + high)]


def ink_of(root: ET.Element) -> tuple[list[Ink], dict[str, tuple[float, float]]]:
    """What an SVG of matplotlib draws but its paper, and where the frame of each of its axes begins and ends."""
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]
    known = {node.get("id"): node for node in root.iter() if node.get("id")}
    found: list[Ink] = []
    frames: dict[str, tuple[float, float]] = {}

    def draw(node: ET.Element, at: np.ndarray, owner: str, clip: tuple[float, float]) -> None:
        name = node.get("id", "")
        if node.tag in ("defs", "metadata") or (name == "patch_1" and not owner):
            return
        if re.fullmatch(r"axes_\d+", name):
            owner = name
        if window := re.search(r"#(.+)\)", node.get("clip-path", "")):
            (x, _), *_, (end, _) = sorted(corners(known[window[1]][0]))
            clip = max(clip[0], x), min(clip[1], end)
        at = at @ matrix(node.get("transform", ""))
        if node.tag == "use":
            at = at @ matrix(f"translate({node.get('x', 0)} {node.get('y', 0)})")
            node = known[next(value for key, value in node.attrib.items() if key.endswith("href"))[1:]]
            at = at @ matrix(node.get("transform", ""))
        if points := corners(node):
            box = zip(np.min(points, axis=0), np.max(points, axis=0), strict=True)
            x = [(at @ (*corner, 1))[0] for corner in product(*box)]
            left, right = max(min(x), clip[0]), min(max(x), clip[1])
            if owner and owner not in frames:
                frames[owner] = left, right  # its background comes first
            elif left <= right:
                found.append(Ink(left, right, owner))
        before = len(found)
        for child in node:
            draw(child, at, owner, clip)
        if re.fullmatch(r"(text|legend)_\d+", name) and len(found) > before:  # one thing, not its letters
            left, right = min(one.left for one in found[before:]), max(one.right for one in found[before:])
            found[before:] = [Ink(left, right, owner, name.startswith("text"))]

    draw(root, np.eye(3), "", (-np.inf, np.inf))
    return found, frames


def of_lines(svg: str) -> list[Column]:
    """The columns of a picture of matplotlib, in the units of its drawing."""
    ink, frames = ink_of(ET.fromstring(svg))
    wide = merged([frame for frame in frames.values() if frame[1] - frame[0] >= NARROW / POINT])
    home = {name: max(0, sum(left <= frame[0] + 1 for left, _ in wide) - 1) for name, frame in frames.items()}
    middles = [(a[1] + b[0]) / 2 for a, b in pairwise(wide)]
    columns = []
    for k, (start, end) in enumerate(wide):
        own = [one for one in ink if one.owner and home[one.owner] == k]
        own += [one for one in ink if not one.owner and sum(m < (one.left + one.right) / 2 for m in middles) == k]
        left, right = min([start, *(one.left for one in own)]), max([end, *(one.right for one in own)])
        ends = [one.right for one in own if one.text and one.right <= start]
        labels = max(ends, default=0) + 1.5  # ticks begin behind 3.5
        clean = not any(one.left < labels < one.right for one in own)  # no title or label of x begins beside them
        columns.append(Column(left, right, bool(ends), labels * clean))
    return columns


def of_pixels(picture: Image.Image, page_width: float) -> list[Column]:
    """The columns of a picture on white, in pixels: each has one wide block with a line or a map as high as a panel."""
    scale = picture.width / page_width
    ink = np.asarray(picture.convert("L")) < 250
    run, longest = np.zeros(picture.width, int), np.zeros(picture.width, int)
    for row in ink:
        run = (run + 1) * row
        longest = np.maximum(longest, run)
    edges = np.flatnonzero(np.diff(np.r_[0, ink.any(axis=0), 0])).reshape(-1, 2)
    blocks = merged([(int(a), int(b)) for a, b in edges], LETTERS * scale)
    high = [bool((longest[a:b] > HIGH * scale).any()) for a, b in blocks]
    wide = [k for k, (a, b) in enumerate(blocks) if b - a >= NARROW * scale and high[k]]
    columns, start = [], 0
    for k, following in pairwise([*wide, None]):
        bars = [j for j in range(k + 1, following or 0) if high[j]]
        if following is None:
            last = len(blocks) - 1
        elif bars:  # behind the last color bar, the widest gap is that between two panels
            last = max(range(bars[-1], following), key=lambda j: blocks[j + 1][0] - blocks[j][1])
        else:
            last = k
        frame = blocks[k][0] + int(np.argmax(longest[slice(*blocks[k])] > HIGH * scale))
        beside = ink[ink[:, frame], blocks[start][0] : max(0, round(frame - TICKS * scale))]
        end = blocks[k - 1][1] + 1 if k > start else 0
        columns.append(Column(blocks[start][0], blocks[last][1], bool(beside.any()), end))
        start = last + 1
    return columns
