"""The compiled loops over the cells of a padded sheet: fast sweeping, fast marching, and the balance of charge at a front."""

import numpy as np

from forwardecg.tissue.cell import jit

Array = np.ndarray
FAR = 1e9  # ms, of a cell that nothing has reached
STEP = 0.02  # ms between the entries of phi, whose middle one belongs to 0
WIDTH, RING = 0.05, 1024  # ms of a bucket of cells that wait, and how many buckets there are


@jit
def _triangle(T_a: float, T_b: float, A: float, B: float, C: float, K: float, dx: float) -> float:
    """The earliest arrival across the side from neighbor a to b, whose squares in the metric are A = dd, B = pd, C = pp.

    p leads to a, d from a to b, in cells; K = AC - BB.
    """
    later = (T_b - T_a) / dx
    if later >= 0 and B >= 0:
        return T_a + dx * np.sqrt(C)
    share = 1.0  # of b, at the point of the side where T + distance is least
    if later * later < A:
        share = min(max((-B - later * np.sqrt(K / (A - later * later))) / A, 0.0), 1.0)
    elif later > 0:
        share = 0.0
    return T_a + dx * (share * later + np.sqrt(C + 2 * B * share + A * share * share))


@jit
def sweep(T: Array, live: Array, metric: Array, dx: float, tolerance: float) -> None:
    """Fast sweeping of T (y, x) in ms, in place, over the triangles of eight neighbors, none of them through a wall.

    Zhao, Math. Comp. 74:603 (2005); on triangles Qian, Zhang and Zhao, SIAM J. Numer. Anal. 45:83 (2007).
    """
    n_y, n_x = T.shape
    changed = FAR
    while changed > tolerance:
        changed = 0.0
        for s in range(4):
            s_x, s_y = 1 - 2 * (s % 2), 1 - 2 * (s // 2)
            for row in range(1, n_y - 1):
                y = row if s_y > 0 else n_y - 1 - row
                for column in range(1, n_x - 1):
                    x = column if s_x > 0 else n_x - 1 - column
                    beside, below, T_old = T[y, x - s_x], T[y - s_y, x], T[y, x]
                    if not live[y, x] or (beside >= T_old and below >= T_old):
                        continue
                    xx, xy, yy = metric[y, x]
                    xy, K, T_new, corner = s_x * s_y * xy, xx * yy - xy * xy, T_old, T[y - s_y, x - s_x]
                    if beside < T_old:
                        T_new = min(T_new, _triangle(beside, corner, yy, xy, xx, K, dx))
                    if below < T_old:
                        T_new = min(T_new, _triangle(below, corner, xx, xy, yy, K, dx))
                    T[y, x] = T_new
                    changed = max(changed, T_old - T_new)


@jit
def needs(T: Array, order: Array, g: Array, offsets: tuple[int, ...], given: Array) -> Array:
    """The charge that each cell in ``order`` needs: 1, and more if neighbors gave theirs one after the other (`front_law`).

    ``given`` (t, 3): 2 E, 2 E m and 2 E m^2, the latter two with the weights of `front_law`, at t = 0, `STEP` ...
    """
    need = np.ones(T.size)
    for i in order:
        w, wm, wmm = 1e-12, 0.0, 0.0
        for k in range(len(offsets)):
            at = max(T[i] - T[i + offsets[k]], 0.0) * (1 / STEP)
            entry = min(int(at), len(given) - 2)
            part, positive = at - entry, max(g[i, k], 0.0)
            w += positive * (given[entry, 0] + part * (given[entry + 1, 0] - given[entry, 0]))
            wm += positive * (given[entry, 1] + part * (given[entry + 1, 1] - given[entry, 1]))
            wmm += positive * (given[entry, 2] + part * (given[entry + 1, 2] - given[entry, 2]))
        need[i] += wmm - wm * wm / w
    return need


@jit
def _balance(
    i: int, T: Array, old: Array, done: Array, p: int, need: Array,
    g: Array, offsets: tuple[int, ...], phi: Array, close: float,
) -> float:  # fmt: skip
    """The time at which cell i is in balance; neighbors not yet done in pass p are as much later as they were."""
    # choices without branches: which neighbors are done is not to be predicted
    last, guess, zero = -FAR, T[i], phi.size // 2
    for k in range(len(offsets)):
        j = i + offsets[k]
        lag = old[i] - old[j]
        later = (g[i, k] != 0) & (done[j] == p) & (T[j] > last)
        last, guess = T[j] if later else last, T[j] + (lag if lag > 0 else 0.5) if later else guess
    time = T[i] if done[i] == p else guess
    for _ in range(20):
        f, slope = -need[i], 1e-12
        for k in range(len(offsets)):
            j = i + offsets[k]
            known = done[j] == p
            at = max((time - T[j] if known else old[i] - old[j]) * (1 / STEP) + zero, 0.0)
            entry = min(int(at), phi.size - 2)
            rise = phi[entry + 1] - phi[entry]
            f += g[i, k] * (phi[entry] + rise * (at - entry))
            slope += g[i, k] * rise if known else 0.0
        move = min(max(f * STEP / slope, -2.0), 2.0)
        time -= move
        if abs(move) <= close:  # the next one would be a hundred times smaller
            break
    return time


@jit
def advance(
    T: Array, order: Array, done: Array, p: int, held: Array, need: Array,
    g: Array, offsets: tuple[int, ...], phi: Array, close: float,
) -> None:  # fmt: skip
    """Pass p over cells in the ``order`` of their times: each in balance, then its neighbors that were before it."""
    old = T.copy()
    for i in order:
        if not held[i]:
            T[i] = _balance(i, T, old, done, p, need, g, offsets, phi, close)
        done[i] = p
        for k in range(len(offsets)):
            j = i + offsets[k]
            if g[i, k] != 0 and done[j] == p and not held[j] and abs((T[i] - T[j]) - (old[i] - old[j])) > close:
                T[j] = _balance(j, T, old, done, p, need, g, offsets, phi, close)


@jit
def march(T: Array, slowness: Array, n_x: int) -> Array:
    """Fast marching of flat T (ms), in place, by ``slowness`` (ms per cell, `FAR` in walls), rows of ``n_x`` cells.

    The upwind scheme of Rouy and Tourin (1992). Gives the cells that are reached, nearly in their order: they wait in
    buckets of `WIDTH`, so that none needs sorting (Yatziv, Bartesaghi and Sapiro, J. Comput. Phys. 212:393, 2006).
    """
    seeds = np.flatnonzero(T < FAR)
    seeds = seeds[np.argsort(T[seeds])]
    head, room, offsets = np.full(RING, -1), seeds.size + 4 * T.size, (-1, 1, -n_x, n_x)
    cell, after, order = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(T.size, np.int64)
    done = np.zeros(T.size, np.bool_)
    top, waiting, found, seed, bucket = 0, 0, 0, 0, 0
    while seed < seeds.size or waiting > 0:
        if waiting == 0:
            bucket = max(bucket, int(T[seeds[seed]] / WIDTH))
        while seed < seeds.size and int(T[seeds[seed]] / WIDTH) <= bucket:
            cell[top], after[top], head[bucket % RING] = seeds[seed], head[bucket % RING], top
            top, waiting, seed = top + 1, waiting + 1, seed + 1
        entry = head[bucket % RING]
        if entry < 0:
            bucket += 1
            continue
        head[bucket % RING], waiting, i = after[entry], waiting - 1, cell[entry]
        if done[i] or int(T[i] / WIDTH) > bucket:
            continue
        done[i], order[found], found = True, i, found + 1
        for offset in offsets:
            j = i + offset
            s = slowness[j]
            if done[j] or s >= FAR:
                continue
            a, b = min(T[j - 1], T[j + 1]), min(T[j - n_x], T[j + n_x])
            new = min(a, b) + s if abs(a - b) >= s else (a + b + np.sqrt(2 * s * s - (a - b) * (a - b))) / 2
            if new < T[j]:
                at = min(int(new / WIDTH), bucket + RING - 1)
                if T[j] >= FAR or int(T[j] / WIDTH) != at:
                    cell[top], after[top], head[at % RING] = j, head[at % RING], top
                    top, waiting = top + 1, waiting + 1
                T[j] = new
    return order[:found]


@jit
def longest_wait(T: Array, g: Array, offsets: Array) -> float:
    """By how much a cell is later, in ms, than the first of its neighbors."""
    longest = 0.0
    for i in range(T.size):
        first = T[i]
        for k in range(offsets.size):
            if g[i, k] > 0:
                first = min(first, T[i + offsets[k]])
        longest = max(longest, T[i] - first)
    return longest
