from page import plot

last = "........"
pixel = [  # one letter a cell: . conducts, # is fibrosis
    "...#....",
    "...#....",
    "...#....",
    "...#....",
    "...#....",
    "...#....",
    "...#....",
    last,
]
D = 0.1  # mm2/ms, of a cell that conducts


def conducts(rows):
    """D of the whole pixel and its potential: left side at 0, right side at 1, others closed."""
    n, live = len(rows), [[letter == "." for letter in row] for row in rows]
    V = [[(x + 0.5) / n for x in range(n)] for _ in rows]
    for _ in range(400):
        for y in range(n):
            for x in range(n):
                if not live[y][x]:
                    continue
                weight = total = 0.0
                for a, b in ((y, x - 1), (y, x + 1), (y - 1, x), (y + 1, x)):
                    if not 0 <= b < n:  # a side, half a cell away
                        weight, total = weight + 2, total + (2 if b == n else 0)
                    elif 0 <= a < n and live[a][b]:
                        weight, total = weight + 1, total + V[a][b]
                V[y][x] = total / weight if weight else 0.0
    return D * sum(2 * V[y][0] for y in range(n) if live[y][0]), V


turned = ["".join(row[k] for row in pixel) for k in range(len(pixel))]
D_x, V = conducts(pixel)
D_y, _ = conducts(turned)
share = sum(row.count(".") for row in pixel) / len(pixel) ** 2
print(f"D along x {abs(D_x):.3f}, along y {D_y:.3f} mm2/ms")
print(f"mean D of the cells {share * D:.3f} mm2/ms")
middle = len(pixel) // 2
live = [x for x, letter in enumerate(pixel[middle]) if letter == "."]
if live:
    plot(live, [V[middle][x] for x in live], "x (cells)", "potential, middle row", dots=True)
