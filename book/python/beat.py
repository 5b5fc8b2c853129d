from math import tanh

from page import plot

dt, t_end = 0.02, 350.0  # ms
stimuli = [10.0]  # ms
u_c, u_v = 0.16, 0.04  # thresholds of the currents and of the gate v
tau_d, tau_0, tau_r = 0.125, 32.5, 70.0  # ms
tau_si = 114.0  # ms

u, v, w = 0.0, 1.0, 1.0  # voltage and gates at rest
t, V_m = [], []
for step in range(round(t_end / dt)):
    if any(step == round(at / dt) for at in stimuli):
        u = max(u, 0.3)  # over the threshold
    p = 1.0 if u >= u_c else 0.0
    J_fi = -v * p * (1 - u) * (u - u_c) / tau_d
    J_so = u * (1 - p) / tau_0 + p / tau_r
    J_si = -w / (2 * tau_si) * (1 + tanh(10 * (u - 0.85)))
    tau_v_minus = 60.0 if u >= u_v else 82.5
    v += dt * ((1 - p) * (1 - v) / tau_v_minus - p * v / 5.75)
    w += dt * ((1 - p) * (1 - w) / 400.0 - p * w / 300.0)
    u -= dt * (J_fi + J_so + J_si)
    t.append(step * dt)
    V_m.append(-85 + 100 * u)

excited = dt * sum(V > -75 for V in V_m)  # ms
print(f"peak {max(V_m):.1f} mV, above -75 mV for {excited:.1f} ms")
plot(t[::20], V_m[::20], "time (ms)", "voltage (mV)")
