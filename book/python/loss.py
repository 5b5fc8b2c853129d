from math import cos, exp, log, pi, sin

from page import plot

n, delta = 128, 1.0  # samples, 4 ms apart; where the Huber term turns from a parabola to a line
factor = 0.5  # of the prediction
wobble = 0.0  # a tone on top of it


def shares(y):
    """Power of each frequency over the whole, under a Hann window."""
    y = [value * 0.5 * (1 - cos(2 * pi * k / (n - 1))) for k, value in enumerate(y)]
    power = []
    for j in range(n // 2 + 1):
        real = sum(value * cos(2 * pi * j * k / n) for k, value in enumerate(y))
        imaginary = sum(value * sin(2 * pi * j * k / n) for k, value in enumerate(y))
        power.append(real**2 + imaginary**2 + 1e-8)
    return [one / sum(power) for one in power]


def entropy(y):
    return -sum(q * log(q) for q in shares(y)) / log(n // 2 + 1)


def huber(r):
    return r * r / 2 if abs(r) <= delta else delta * (abs(r) - delta / 2)


t = [4 * k for k in range(n)]  # ms
true = [-(k - 250) / 40 * exp(0.5 - ((k - 250) / 40) ** 2 / 2) for k in t]
size = (sum(value * value for value in true) / n) ** 0.5
true = [value / size for value in true]
pred = [factor * value + wobble * sin(0.5 * k) for k, value in zip(t, true)]

mean = sum(huber(a - b) for a, b in zip(pred, true)) / n
print(f"Huber term {mean:.3f}")
print(f"entropy, true {entropy(true):.3f}, predicted {entropy(pred):.3f}")
print(f"entropy term {abs(entropy(pred) - entropy(true)):.3f}")
plot(t, true, "time (ms)", "ECG over its size", "true")
plot(t, pred, "time (ms)", "ECG over its size", "predicted")
