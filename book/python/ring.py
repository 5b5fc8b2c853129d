from math import tanh

from page import plot

D, dx, dt, t_end = 0.1, 0.6, 0.15, 520.0  # mm2/ms, mm, ms, ms


def ring(around):
    """Voltage opposite the stimulus, and when it rises; the ring is so many mm around."""
    n = round(around / dx)
    u, v, w = [0.0] * n, [1.0] * n, [1.0] * n
    u[:5] = [1.0] * 5  # the stimulus, at one side of the cut
    t, V_m, beats = [], [], []
    for step in range(round(t_end / dt)):
        before = u[n // 2]
        flux = [D * (b - a) / dx for a, b in zip(u, u[1:])]
        joined = step * dt >= 1.5 * around  # the wave has run most of the way
        cut = D * (u[0] - u[-1]) / dx if joined else 0.0
        flux = [cut] + flux + [cut]
        for i in range(n):
            p = 1.0 if u[i] >= 0.16 else 0.0
            J = -v[i] * p * (1 - u[i]) * (u[i] - 0.16) / 0.125 + u[i] * (1 - p) / 32.5
            J += p / 70.0 - w[i] / 228.0 * (1 + tanh(10 * (u[i] - 0.85)))
            v[i] += dt * ((1 - p) * (1 - v[i]) / (60.0 if u[i] >= 0.04 else 82.5) - p * v[i] / 5.75)
            w[i] += dt * ((1 - p) * (1 - w[i]) / 400.0 - p * w[i] / 300.0)
            u[i] += dt * ((flux[i + 1] - flux[i]) / dx - J)
        if before < 0.5 <= u[n // 2]:
            beats.append(round(step * dt))
        t.append(step * dt)
        V_m.append(-85 + 100 * u[n // 2])
    return t, V_m, beats


t, V_m, beats = ring(90.0)
print("beats opposite the stimulus, ms:", *beats)
plot(t[::10], V_m[::10], "time (ms)", "voltage (mV)")
