from math import tanh

from page import plot

dt, length, t_end = 0.05, 30.0, 70.0  # ms, mm, ms


def arrivals(D, dx):
    """When the wave reaches each node (ms, or nothing): D in mm2/ms, dx in mm."""
    n = round(length / dx)
    u, v, w = [0.0] * n, [1.0] * n, [1.0] * n
    for i in range(round(2 / dx)):
        u[i] = 1.0  # the stimulus
    arrival = [None] * n
    for step in range(round(t_end / dt)):
        flux = [D * (b - a) / dx for a, b in zip(u, u[1:])]  # through each face
        flux = [0.0] + flux + [0.0]  # none through the two ends
        for i in range(n):
            p = 1.0 if u[i] >= 0.16 else 0.0
            J = -v[i] * p * (1 - u[i]) * (u[i] - 0.16) / 0.125 + u[i] * (1 - p) / 32.5
            J += p / 70.0 - w[i] / 228.0 * (1 + tanh(10 * (u[i] - 0.85)))
            v[i] += dt * ((1 - p) * (1 - v[i]) / (60.0 if u[i] >= 0.04 else 82.5) - p * v[i] / 5.75)
            w[i] += dt * ((1 - p) * (1 - w[i]) / 400.0 - p * w[i] / 300.0)
            u[i] += dt * ((flux[i + 1] - flux[i]) / dx - J)
            if arrival[i] is None and u[i] >= 0.5:
                arrival[i] = step * dt
    return arrival


D, dx = 0.1, 0.25
arrival = arrivals(D, dx)
here, there = len(arrival) // 3, 2 * len(arrival) // 3
if arrival[there] is None:
    print(f"the wave is not at {there * dx:.0f} mm after {t_end:.0f} ms")
else:
    print(f"speed {(there - here) * dx / (arrival[there] - arrival[here]):.3f} mm/ms")
reached = [i for i, at in enumerate(arrival) if at is not None]
plot([i * dx for i in reached], [arrival[i] for i in reached], "x (mm)", "arrival (ms)")
