from math import exp, sqrt

from page import plot

z = 20.0  # mm, above the middle of the strip
speed, width = 0.6, 1.0  # mm/ms, mm: of the front
D, dx, n = 0.1, 0.5, 200  # mm2/ms, mm, nodes
x = [(i + 0.5) * dx for i in range(n)]
R = [sqrt((one - n * dx / 2) ** 2 + z**2) for one in x]  # mm, from each node to the electrode


def A(values):
    """What flows into each node, per ms; nothing flows through the ends."""
    faces = [D * (b - a) / dx**2 for a, b in zip(values, values[1:])]
    faces = [0.0] + faces + [0.0]
    return [faces[i + 1] - faces[i] for i in range(len(values))]


weight = [1 / one for one in R]
lead_field = A(weight)
t = range(0, 200, 2)  # ms
ecg, by_sources = [], []
for now in t:
    V_m = [-85 + 100 / (1 + exp(min(700.0, (one - speed * now) / width))) for one in x]
    by_sources.append(sum(S * one for S, one in zip(A(V_m), weight)) * dx)
    ecg.append(sum(L * V for L, V in zip(lead_field, V_m)) * dx)

print(f"highest {max(ecg):.5f}, lowest {min(ecg):.5f} mV mm/ms")
differ = max(abs(a - b) for a, b in zip(ecg, by_sources))
print("both ways agree:", differ < 1e-12)
plot(t, ecg, "time (ms)", "ECG (mV mm/ms)", "lead field times voltage")
plot(t[::4], by_sources[::4], "time (ms)", "ECG (mV mm/ms)", "sources over distance", dots=True)
