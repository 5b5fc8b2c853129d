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
def renumber(order: Array, g: Array, offsets: tuple[int, ...]) -> tuple[Array, Array]:
    """Neighbors and couplings (cell, neighbor) of the cells in ``order``, by their numbers in it, and the next number for no neighbor.

    Cells that are activated one after the other then lie side by side in memory.
    """
    number_of = np.full(len(g), order.size, np.uint32)
    for n in range(order.size):
        number_of[order[n]] = n
    beside, couplings = np.empty((order.size, len(offsets)), np.uint32), np.empty((order.size, len(offsets)))
    for n in range(order.size):
        for k in range(len(offsets)):
            couplings[n, k] = g[order[n], k]
            beside[n, k] = number_of[order[n] + offsets[k]] if couplings[n, k] != 0 else order.size
    return beside, couplings


@jit
def sort(T: Array) -> Array:
    """The numbers of cells in the order of their times T, by buckets; equal ones stay in theirs."""
    first, scale = np.zeros(T.size // 2 + 2, np.uint32), (T.size // 2) / max(T.max() - T.min(), 1e-9)
    bucket, order = ((T - T.min()) * scale).astype(np.uint32), np.empty(T.size, np.uint32)
    for n in range(T.size):
        first[bucket[n] + 1] += 1
    first = first.cumsum()
    for n in range(T.size):
        order[first[bucket[n]]] = n
        first[bucket[n]] += 1
    for n in range(1, T.size):
        i, at = order[n], n
        while at > 0 and T[order[at - 1]] > T[i]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = i
    return order


@jit
def needs(T: Array, beside: Array, g: Array, sides: tuple[int, ...], given: Array) -> Array:
    """The charge that each cell needs: 1, and more if neighbors ``beside`` it gave theirs one after the other (`given_law`).

    ``given`` (t, 3): 2 E, 2 E m and 2 E m^2 at t = 0, `STEP` ... ``sides`` has as many entries as a cell has neighbors, a
    number that is known when the loop is compiled.
    """
    need = np.ones(len(beside))
    for i in range(len(beside)):
        w, wm, wmm = 1e-12, 0.0, 0.0
        for k in range(len(sides)):
            at = max(T[i] - T[beside[i, k]], 0.0) * (1 / STEP)
            entry = min(int(at), len(given) - 2)
            part, positive = at - entry, max(g[i, k], 0.0)
            w += positive * (given[entry, 0] + part * (given[entry + 1, 0] - given[entry, 0]))
            wm += positive * (given[entry, 1] + part * (given[entry + 1, 1] - given[entry, 1]))
            wmm += positive * (given[entry, 2] + part * (given[entry + 1, 2] - given[entry, 2]))
        need[i] += wmm - wm * wm / w
    return need


@jit
def advance(
    T: Array, order: Array, held: Array, need: Array, beside: Array, g: Array, sides: tuple[int, ...], phi: Array, close: float
) -> None:  # fmt: skip
    """A pass over cells in the ``order`` of their times: each in balance, then its neighbors that were before it.

    A cell is in balance at the time at which neighbors have given what it needs; those not yet done in this pass are as much
    later than it as they were. It is one loop, without branches between neighbors: a call for each cell took twice as long.
    """
    old, done, free, zero = T.copy(), np.zeros(T.size, np.bool_), ~held, phi.size // 2
    for first in order:
        for side in range(-1, len(sides)):
            i = first if side < 0 else beside[first, np.uint32(side)]
            if side >= 0:
                off = abs((T[first] - T[i]) - (old[first] - old[i]))
                if not (done[i] & free[i] & (off > close)):
                    continue
            elif not free[i]:
                done[i] = True
                continue
            time, last = T[i], -FAR
            if side < 0:  # a guess: it is as much later than the last of its neighbors as it was
                for k in range(len(sides)):
                    j = beside[i, np.uint32(k)]
                    lag, T_j = old[i] - old[j], T[j]
                    later, guess = done[j] & (T_j > last), T_j + (lag if lag > 0 else 0.5)
                    last, time = T_j if later else last, guess if later else time
                done[i] = True
            for _ in range(20):
                f, slope = -need[i], 1e-12
                for k in range(len(sides)):
                    j = beside[i, np.uint32(k)]
                    lag, now, known = old[i] - old[j], time - T[j], done[j]
                    at = max((now if known else lag) * (1 / STEP) + zero, 0.0)
                    entry = np.uint32(min(int(at), phi.size - 2))
                    rise = phi[entry + np.uint32(1)] - phi[entry]
                    f += g[i, np.uint32(k)] * (phi[entry] + rise * (at - entry))
                    rise *= g[i, np.uint32(k)]
                    slope += rise if known else 0.0
                move = min(max(f * STEP / slope, -2.0), 2.0)
                time -= move
                if abs(move) <= close:  # the next one would be a hundred times smaller
                    break
            T[i] = time


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
