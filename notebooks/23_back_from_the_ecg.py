# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   page:
#     question: Can the ECG tell where a wave began, and how fast it travels?
#     answer: >-
#       In uniform tissue three electrodes locate the site of a simulated wave to
#       {headline}`inverse_site_mm` and its speed to a share of
#       {headline}`inverse_speed_error` (medians, with noise); a single electrode
#       above the center cannot tell a site from its mirror images; and regions meant
#       to hold nine in ten true sites hold a share of {headline}`inverse_coverage_90`
#       ({headline}`inverse_coverage_inside` of {headline}`inverse_coverage_tissues`),
#       at the noise on which their size was chosen.
#     next:
#       page: notebooks/24_remodeled_tissue
#       why: the same with tissue that is not uniform
#     needs:
#     - results/runs/inverse.csv
#     - results/runs/inverse_regions.csv
#     makes:
#       results/23_back_from_the_ecg.csv: >-
#         errors of site, onset and speed by electrodes and noise
#     smoke: {side: 7}
# ---

# %% [markdown]
# # Back from the ECG: site, onset and speed
#
# **An idea is carried over; the published claim is not reproduced.**
# Geodesic-BP {cite}`Grandits2024` fits the sites and times at which an
# activation begins to an ECG. It follows gradients through the eikonal equation
# and the lead field. The authors recover a simulated activation, also with
# errors in their model, and apply the method to a model of a rabbit heart. The
# abstract calls the accuracy high and gives no number.
#
# **Question.** The ECG comes from the full simulation, which the fit does not
# know. How well are site, onset and speed of a wave found, and from how many
# electrodes?
#
# **Scale:** healthy sheets of 100 mm (200 × 200 cells), which are smaller than
# those of {doc}`07_dataset`. One wave starts from a disc of 4 mm at a random
# site. The diffusivity is uniform and random. Electrodes are 40 mm above the
# sheet. Noise is white, and its size is relative to the SD of each lead. Six
# tissues are seen by all arrangements of electrodes, 48 others by three
# electrodes, and 40 more choose one constant.
# {doc}`24_remodeled_tissue` goes on with tissue that is not uniform.
#
# Needs the tables of `python -m experiments.inverse`; half a minute. With other
# values: `make run NB=23_back_from_the_ecg SET="noise=0.2"`.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import binomtest

from compendium import figures
from compendium.record import Headline, result_file
from compendium.tables import as_text, printed
from forwardecg.ecg.electrodes import Electrodes
from forwardecg.inverse.estimate import fit, profile
from forwardecg.measure.compare import interval
from forwardecg.paths import RESULTS
from forwardecg.solver.simulation import simulate
from forwardecg.tissue.sheet import healthy
from forwardecg.tissue.stimulus import focal_stimulus

figures.set_style()
headline = Headline("23_back_from_the_ecg")

# %% tags=["parameters"]
side = 25  # sites along each side of the maps
site = (27.0, 61.0)  # mm, of the wave in the figure
noise = 0.05  # of the ECGs in the figure, SD over that of the lead
promised = 0.9  # share of the posterior that a region holds
claim_site_mm = 0.6  # median error of the site, three electrodes, noise 0.1
claim_speed = 0.01  # median error of the speed

# %% [markdown]
# ## Method
#
# The unknowns are the site $x_s$, the onset $t_0$, and $D$. We look for the
# least misfit
#
# $$\frac{\sum (\phi_e - \phi_\text{model})^2}{\sum \phi_e^2}$$
#
# over all leads and times, after a low-pass of 1.5 ms. In uniform tissue the
# activation time is a function of only the distance $r$ from the site. The
# curved front travels at $c\sqrt{D} - D/r$. The sum of the lead field over
# rings of cells about a site then serves every $D$. One ECG of the model costs
# a millisecond.
#
# A wave on cells of 0.5 mm is somewhat faster along the diagonal of the grid
# than along an axis. The model takes this factor from one simulated wave.
# While neighbors share charge, repolarization is smoothed. The smoothing is
# symmetric, so we apply it to the lead field, and it costs nothing afterwards.
#
# `fit` scans 15 × 15 sites and 16 values of $D$ with all onsets, and polishes
# the best minima by least squares.

# %%
grid = healthy((200, 200), 0.5, D0=0.1)
example = Electrodes(
    np.array([[22.0, 30.0, 40.0], [80.0, 45.0, 40.0], [45.0, 85.0, 40.0]]),
    ("first", "second", "third"),
)
wave = focal_stimulus(grid, *site)
record = simulate(grid, wave, t_end=300.0, electrodes=example, frame_interval=300.0)
rng = np.random.default_rng(0)


def noisy(phi_e):
    """Return an ECG with white noise."""
    white = phi_e.copy(data=rng.standard_normal(phi_e.shape))
    return phi_e + noise * phi_e.std("time_ecg") * white


phi_e = noisy(record.phi_e)
found = fit(phi_e, example, grid)
printed(
    pd.DataFrame(
        {
            "true": [*site, float(record.lat.min()), 0.1],
            "found": [*found.site.values, float(found.onset), float(found.D[0, 0])],
        },
        index=["x (mm)", "y (mm)", "onset (ms)", "D (mm²/ms)"],
    ),
    caption="One wave: what is fitted to the ECGs of three electrodes.",
)

# %% [markdown]
# The onset is the time at which the cells of the disc are activated. It comes
# a little after the stimulus.
#
# ## How many sites explain an ECG
#
# For each site we take the onset and the $D$ that suit it best, and map the
# misfit that is left.

# %% tags=["hide-input"]
places = {
    "one, center": [(50, 50)],
    "one, off center": [(62, 43)],
    "two": [(30, 40), (72, 57)],
    "three": [(22, 30), (80, 45), (45, 85)],
}
at = (np.arange(side) + 0.5) / side * 100
fig, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
wells = {}
for ax, (name, xy) in zip(axes, places.items(), strict=True):
    above = Electrodes(
        np.array([(*one, 40.0) for one in xy]), tuple(f"at {one}" for one in xy)
    )
    clean = simulate(grid, wave, t_end=300.0, electrodes=above, frame_interval=300.0)
    traces = noisy(clean.phi_e)
    best = fit(traces, above, grid)
    wells[name] = int((best.misfits < 2 * best.misfits.min()).sum())
    misfit = profile(traces, above, grid, at, at)
    color = ax.pcolormesh(
        at, at, np.log10(misfit), cmap="Greys_r", vmin=-3, vmax=0, rasterized=True
    )
    _ = ax.plot(*site, "+", color="#c8102e", ms=11, mew=2)
    _ = ax.plot(*np.array(xy).T, "o", color="C0", mfc="none")
    _ = ax.set(title=name, aspect="equal", xlabel="x (mm)")
_ = axes[0].set_ylabel("y (mm)")
_ = fig.colorbar(color, ax=axes, label=r"$\log_{10}$ misfit", shrink=0.8)
figures.show(
    fig,
    "Misfit over the sheet in four panels. With one electrode in the center eight dark "
    "wells lie on a ring about it; off the center some shallower ones remain; with two "
    "and three electrodes there is one well, at the true site.",
)

# %% tags=["hide-input"]
deep = pd.DataFrame({"wells": wells}).rename_axis("electrodes")
printed(deep, caption="Sites that explain the ECG of one wave, by electrodes.")

# %% [markdown]
# The maps have a dark well where a site explains the ECG. The table counts the
# wells that are less than twice as high as the deepest one. The red cross is the
# true site, and circles are electrodes. A square sheet with an electrode in its
# center looks the same after a turn or a mirror image. Eight sites therefore
# give exactly the same ECG. No better method can tell them apart. An electrode
# away from all axes of symmetry breaks the tie.
#
# ## Try it: which ECGs tell the site?
#
# A wave has begun at a hidden site. Choose the ECGs that may be used. The map
# shows how badly a wave from each place explains them. Take the ECG of the
# center alone, and count the dark wells. Then take another one alone, and
# finally all four.
#
# ```{raw} html
# <link rel="stylesheet" href="../_static/inverse/inverse.css">
# <noscript><p>The toy here needs JavaScript, which is switched off. It shows the
# ECGs of a wave from a hidden site at four electrodes, and a map of the misfit of
# every site for those that are chosen. With the electrode in the center alone
# eight sites fit equally well, and with all four electrodes one.</p></noscript>
# <div class="inverse" data-inverse></div>
# <script src="../_static/demo/solver.js"></script>
# <script src="../_static/demo/ecg.js"></script>
# <script src="../_static/inverse/data.js"></script>
# <script src="../_static/inverse/physics.js"></script>
# <script src="../_static/inverse/page.js"></script>
# ```
#
# The center alone leaves eight sites, with noise or without. A cleaner record
# at the same place cannot help, but a second electrode can. Without noise each of
# the other three electrodes finds the site alone. With much noise some wells
# return, and more electrodes remove them. This toy is easier than the fits on
# this page, for its ECGs come from the model that explains them. The speed is
# constant and known, and only the onset is fitted for each site. So the misfit at
# the true site is zero without noise.
#
# ## Errors by electrodes and noise

# %%
table = pd.read_csv(RESULTS / "runs" / "inverse.csv", dtype={"electrodes": str})
test = table[table.set == "test"]
order = ["1, center", "1, off center", "2", "3", "9", "16"]
grouped = test[test.noise == 0.1].groupby("electrodes")
by_electrodes = pd.DataFrame(
    {
        "site (mm)": grouped.site_error.median(),
        "site, 90 %": grouped.site_error.quantile(0.9),
        "modulo images": grouped.site_error_modulo.median(),
        "onset (ms)": grouped.onset_error.apply(lambda z: z.abs().median()),
        "speed": grouped.speed_error.apply(lambda z: z.abs().median()),
    }
).reindex(order)
printed(
    by_electrodes,
    caption="Median errors of site, onset and speed by electrodes, at a noise of 0.1.",
)

# %% tags=["hide-input"]
activation, seconds = (grouped[name].median()[order] for name in ("lat_mae", "seconds"))
only = activation.drop("1, center")
print(f"activation times: {only.min():.3f} to {only.max():.3f} ms off without")
print(f"images, {activation['1, center']:.1f} ms with one electrode in the center")
print(f"a fit takes {seconds.min():.1f} to {seconds.max():.1f} s of one core")

# %% [markdown]
# The table has medians over six tissues, and the 90 % quantile of the error of
# the site. *Modulo images* counts the error to the nearest of the eight
# images. *Speed* is relative. The error of the activation times is the mean
# distance of the fitted ones from the true ones, and its median is printed.

# %%
noisy = test.pivot_table(
    index="electrodes",
    columns="noise",
    values=["site_error_modulo", "speed_error"],
    aggfunc=lambda z: z.abs().median(),
).reindex(order)
names = {"site_error_modulo": "site (mm)", "speed_error": "speed"}
noisy.columns = [f"{names[what]}, noise {level:g}" for what, level in noisy.columns]
printed(noisy, caption="Median errors of site and speed by electrodes and noise.")

# %% tags=["hide-input"]
apart = test[test.electrodes == "1, off center"]
apart = apart.assign(image=apart.site_error > 2 * apart.site_error_modulo)
counted = apart.groupby("noise").image.agg(["sum", "size"])
for level, (images, tissues) in counted.iterrows():
    print(f"one off center, noise {level:g}: {images} of {tissues} found at an image")
six = test[test.noise == 0.1].groupby("electrodes").site_error.quantile(0.9)
print(f"90 % quantile: {six['3']:.3f} mm with 3 electrodes, {six['16']:.3f} with 16")

# %% tags=["hide-input"]
usual = table[(table.set == "regions") & (table.electrodes == "3")]
usual = pd.concat([usual, test[(test.electrodes == "3") & (test.noise == 0.1)]])
on = f"{len(usual)} healthy tissues, three electrodes, noise 0.1, median"
site_mm, low, high = interval(usual.site_error.to_numpy(), statistic=np.median)
print(f"three electrodes, noise 0.1, {len(usual)} tissues:")
print(f"site {site_mm:.3f} mm (95 % interval {low:.3f} to {high:.3f})")
headline("inverse_site_mm", site_mm, unit="mm", tolerance=0.1, on=on)
speed = usual.speed_error.abs().median()
headline("inverse_speed_error", speed, tolerance=0.002, on=on)

# %% [markdown]
# The errors of the site are those to the nearest image, and all columns are
# medians over six tissues. One electrode off the center already removes the
# images, except for one tissue at the largest noise. Two electrodes remove them at
# every noise, and a third one halves the error at a noise of 0.1. Sixteen
# electrodes find the site hardly better than three in the median, with noise or
# without: most of what is left is the error of the model. But at a noise of 0.1
# sixteen electrodes halve the 90 % quantile over the six tissues.
# With three electrodes the site is found within a fraction of a millimeter even
# at a noise of 0.3, since each lead has some hundred samples. These tables rest
# on few tissues. The headline numbers of this page come from more of them.
#
# ## The profile as a posterior
#
# The misfit becomes a probability if we say how many independent samples $n$
# an ECG has: a site then weighs $\text{misfit}^{-n/2}$, which is a Gaussian
# error of unknown size. Onset and $D$ are at their best for each site. The
# samples are not independent, and the model has an error of its own. So we do
# not compute $n$. We choose it on 40 tissues of their own with three electrodes,
# as the largest for which the 90 % region holds at least 90 % of the true sites.
# Other tissues test it. With another number of electrodes, $n$ changes in
# proportion.

# %% tags=["hide-input"]
regions = pd.read_csv(
    RESULTS / "runs" / "inverse_regions.csv", dtype={"electrodes": str}
)
inside = regions.assign(
    profile=regions.mass < promised, normal=regions.laplace < promised
)
chosen = inside[inside.set == "calibration"].groupby("n_eff").profile.mean()
n_eff = int(chosen.index[chosen >= promised].max())
print(f"n = {n_eff}: {chosen[n_eff]:.3f} of the sites on the tissues that chose it")
leads = inside.electrodes.str[0].astype(int)
ladder = np.sort(inside.n_eff.unique())
nearest = {k: ladder[np.abs(np.log(ladder / (n_eff * k / 3))).argmin()] for k in (1, 3)}
others = inside[(inside.n_eff == leads.map(nearest)) & (inside.set != "calibration")]
grouped = others.groupby(["electrodes", "noise"])
coverage = pd.DataFrame(
    {
        "tissues": grouped.size(),
        "profile": grouped.profile.mean(),
        "normal law": grouped.normal.mean(),
        "area (mm²)": grouped.area.median(),
        "wells": grouped.wells.median().map("{:g}".format),
    }
)
printed(
    coverage,
    caption="Share of true sites in regions that are meant to hold nine in ten.",
)

# %% tags=["hide-input"]
own = others[(others.electrodes == "3") & (others.noise == 0.1)].profile
low, high = binomtest(int(own.sum()), len(own)).proportion_ci(0.95, "exact")
print(f"three electrodes, noise 0.1: {own.mean():.3f} of {len(own)} sites inside")
print(f"95 % interval {low:.3f} to {high:.3f}")
on = f"{len(own)} healthy tissues, three electrodes, noise 0.1"
headline("inverse_coverage_90", own.mean(), tolerance=0.06, on=on)
headline("inverse_coverage_inside", int(own.sum()), tolerance=3, on=on)
headline("inverse_coverage_tissues", len(own), tolerance=0, on=on)

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(8.5, 3.8), sharey=True)
shares = np.linspace(0, 1, 101)
for ax, name in zip(axes, ("3", "1, center"), strict=True):
    some = others[(others.electrodes == name) & (others.noise == 0.1)]
    for what, style in (("mass", "-"), ("laplace", ":")):
        held = [(some[what] <= share).mean() for share in shares]
        label = "profile" if what == "mass" else "normal law about the best"
        _ = ax.plot(shares, held, style, color="black", label=label)
    _ = ax.plot([0, 1], [0, 1], color="0.5", lw=0.8)
    _ = ax.set(title=f"electrodes: {name}", xlabel="share that a region promises")
_ = axes[0].set_ylabel("share of true sites inside")
_ = axes[0].legend(frameon=False)
figures.show(
    fig,
    "Share of true sites inside regions against the share that they promise, for three "
    "electrodes and for one in the center. With three, both curves are near the "
    "diagonal from one half on, but below one half the regions of the profile are far "
    "too small. With one, the profile stays somewhat below the diagonal, and the "
    "normal law far below it.",
)

# %% [markdown]
# *Profile* is the share of true sites in the 90 % region of the posterior.
# *Normal law* is the same for a Gaussian about the best fit, with the
# curvature of the misfit there (Laplace's approximation). *Area* is that of
# the region. The map behind the profile is coarse. One of its cells weighs more
# than a third, so its regions hold hardly any true site if they promise less.
# *Wells* are medians. Where a site is on an axis of the sheet or on a diagonal,
# its images fall together in pairs, and the search rightly finds four wells and
# not eight. Two of the six tissues are within half a millimeter of that.
#
# The normal law is a trap. With three electrodes there is one well, and it has
# the right shape, so nothing looks wrong. With one electrode in the center the
# curvature at the best fit is as sharp as before, and the Gaussian knows
# nothing of the other seven wells. It is sure of one site, and mostly of the
# wrong one.
#
# The number $n$ was chosen at one noise. Without noise only the error of the
# model is left, which is no noise, and the regions are too small. With more
# noise they are larger than needed.
#
# ## Limits
#
# The tissue is uniform, the sheet is flat, and the amplitude of the recording is
# known. Shape and radius of the disc are known as well. The cell model of the
# fit is that of the simulation. There is one wave.
#
# ## Exercises
#
# **1.** The onset error has a sign. Is the onset found too early or too late,
# and does this depend on the speed error?

# %% tags=["hide-cell"]
some = test[(test.electrodes == "3") & (test.noise == 0.1)]
onset = as_text(some.onset_error.median(), signed=True)
print(f"onset: {onset} ms in the median")
correlation = np.corrcoef(some.onset_error, some.speed_error)[0, 1]
correlation = as_text(correlation, 2, signed=True)
print(f"correlation of the errors of onset and speed: {correlation}")

# %% [markdown]
# **2.** The gain of the recorder is not known. How much worse is the fit of
# the first table on this page with `gain=1`?

# %% tags=["hide-cell"]
free = fit(3.0 * phi_e, example, grid, gain=1)
off = float(np.hypot(*(free.site.values - site)))
print(f"gain {float(free.gain[0, 0]):.3f} of a true 3, site {off:.3f} mm off,")
print(f"D {float(free.D[0, 0]):.4f} mm²/ms of a true 0.1")

# %% [markdown]
# **3.** An electrode lies on an axis of the sheet, away from its center. How
# many sites give the same ECG?

# %% tags=["hide-cell"]
on_axis = Electrodes(np.array([[50.0, 20.0, 40.0]]), ("on the axis",))
mirrored = [(site[0], site[1]), (100 - site[0], site[1]), (site[1], site[0])]
ecgs = [
    simulate(
        grid,
        focal_stimulus(grid, *one),
        t_end=100.0,
        electrodes=on_axis,
        frame_interval=100.0,
    ).phi_e.values
    for one in mirrored
]
apart = [np.abs(ecg - ecgs[0]).max() / np.abs(ecgs[0]).max() for ecg in ecgs[1:]]
print(f"mirror image about the axis: {1e6 * apart[0]:.0f} millionths of the largest")
print("value apart")
print(f"image about the diagonal: {apart[1]:.2f} of it; two sites give one ECG")

# %% tags=["hide-input"]
result = test.groupby(["electrodes", "noise"], sort=False)
summary = result.agg(
    n=("sim", "size"),
    site_error=("site_error", "median"),
    site_error_modulo=("site_error_modulo", "median"),
    onset_error=("onset_error", "median"),
    speed_error=("speed_error", "median"),
    lat_mae=("lat_mae", "median"),
)
summary.round(5).reset_index().to_csv(
    result_file("23_back_from_the_ecg.csv"), index=False
)
assert site_mm < claim_site_mm and speed < claim_speed
print(headline.provenance())
