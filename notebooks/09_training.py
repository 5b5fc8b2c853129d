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
#     question: What does the paper's architecture achieve, and what limits it?
#     answer: >-
#       On tissues that it has not seen it scores a mean R² of
#       {headline}`seq2seq_r2_mean`, and {headline}`seq2seq_r2_mean_mild` on mild
#       tissue, less than the paper reports; in our small search no single part of the
#       network makes up the difference, and less training data costs more than any
#       change of a part.
#     next:
#       page: book/structured
#       why: a network that infers the tissue instead of the ECG
#     needs:
#     - results/07_dataset.csv
#     - results/07_dataset.json
#     - results/runs/seq2seq_cv.csv
#     - results/runs/seq2seq_search.csv
#     - results/runs/seq2seq_search_trainings.csv
#     makes:
#       results/09_training.csv: >-
#         scores of the published paper's architecture on the test tissues of the split
#       results/09_training_history.csv: its loss and validation score by epoch
#       results/09_training_ecg.nc: true and predicted ECGs of those test tissues
#       models/paper_240.safetensors: >-
#         weights of the paper's architecture from 240 tissues, with their card
#     smoke: {
#       pixels: 20, epochs: 20, batch: 4, threads: 1, lr: 3.0e-3, claim_r2_min: 0.02
#     }
# ---

# %% [markdown]
# # Training the paper's architecture
#
# **Question.** Can a sequence-to-sequence network that sees voltage maps,
# and no conductivity, predict the ECG of tissues it has never seen? And
# what limits it?
#
# **Scale:** five-fold cross-validation over the 300 tissues of
# {doc}`07_dataset`; a small search on validation tissues; and one training
# on this page, whose weights are published, on one split of 80/10/10. The
# authors' later paper states this split; the present one states none.
#
# The page needs the data set and the tables of `make experiments`. It takes
# some minutes on two cores the first time and seconds afterward, because
# finished trainings are stored. An interrupted training continues from its
# last epoch. {ref}`architecture` and {ref}`loss` explain the network and
# its loss. Sizes and training settings are ours ({ref}`choices-network`).
# To run the page with other values:
#
#     make run NB=09_training SET="epochs=20 attention=false"

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import xarray as xr

from compendium import figures
from compendium.record import Headline, model_file, result_file
from compendium.tables import printed
from forwardecg.data.recipe import read_recipe
from forwardecg.data.store import load_or_simulate
from forwardecg.measure.scores import score_ecgs, summarize
from forwardecg.paths import RESULTS
from forwardecg.surrogates.paper.data import Sequences
from forwardecg.surrogates.paper.losses import entropy_weight
from forwardecg.surrogates.paper.model import Seq2Seq, Seq2SeqConfig
from forwardecg.surrogates.paper.task import Seq2SeqLoss, Seq2SeqTask, predict
from forwardecg.surrogates.train import TrainConfig, initialize, load_or_fit
from forwardecg.surrogates.weights import load_models, save_models

figures.set_style()
headline = Headline("09_training")

# %% tags=["parameters"]
seed = 0  # of weights, order and augmentation
pixels = 50  # side of the input maps
frame_interval = 10.0  # ms between maps
encoder = "conv"  # conv or linear
norm = False  # group norm in the encoder
time = "sinusoidal"  # time embedding: sinusoidal, learned or none
attention = True  # on or off
decoder = "bilstm"  # bilstm, lstm, tcn or linear
epochs = 40
batch = 8  # tissues
lr = 1.5e-3  # peak of the learning rate
weight_decay = 1.0e-2
ema = 0.0  # memory of a moving average of the weights; 0: none
delta = 1.0  # Huber, in standard deviations of a tissue's ECG
lambda_se = 0.1  # weight of the entropy term at the first epoch
augment = True  # mirror images and turns
threads = 1  # of the CPU
claim_r2_min = 0.9  # mean R2 on the test tissues of the split
claim_folds_min = 0.93  # mean R2 in the cross-validation

# %% [markdown]
# ## Input and output
#
# Maps are pooled to the size of the network's input and scaled to 0 at rest
# and 1 at the peak. The ECG is not scaled tissue by tissue. The network
# predicts it in units of one number, the standard deviation of all training
# ECGs. The split was drawn in {doc}`07_dataset`.

# %%
torch.set_num_threads(threads)
recipe = read_recipe(RESULTS / "07_dataset.json")
tissues = pd.read_csv(
    RESULTS / "07_dataset.csv", index_col="sim", keep_default_na=False
)
model_config = Seq2SeqConfig(
    pixels=pixels,
    encoder=encoder,
    norm=norm,
    time=time,
    attention=attention,
    decoder=decoder,
)
config = TrainConfig(
    epochs=epochs, batch=batch, lr=lr, weight_decay=weight_decay, ema=ema, seed=seed
)

# %% tags=["hide-output", "nbval-ignore-output"]
ds = load_or_simulate(recipe)

# %%
members = {
    part: tissues.query("part == @part").index.to_numpy()
    for part in ("train", "val", "test")
}
train, val, test = (
    Sequences(ds, sims, pixels, frame_interval) for sims in members.values()
)
print(f"train, val, test: {len(train)}, {len(val)}, {len(test)} tissues")
print(f"maps {tuple(train.u.shape[1:])}")

# %% [markdown]
# ## Training
#
# The training is one flat loop. Its progress is shown while it runs and is
# not part of this page. After every epoch the mean $R^2$ over the
# validation tissues is taken, and the weights of the best epoch are kept.
# Test tissues are not used.

# %%
loss = Seq2SeqLoss(delta=delta, lambda_se=lambda_se, augment=augment)
task = Seq2SeqTask(train, val, loss)
model = initialize(lambda: Seq2Seq(model_config), seed)
history = load_or_fit(model, task, config)
n_parameters = sum(p.numel() for p in model.parameters())
print(f"{n_parameters} parameters, {epochs} epochs, seed {seed}")

# %% tags=["hide-input"]
minutes = history.seconds.sum() / 60
on_one = f"one seed, {threads} thread{'s' * (threads > 1)}, machine not kept free"
headline("train_minutes", minutes, unit="min", tolerance=None, on=on_one)

# %% tags=["hide-input"]
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
_ = left.semilogy(history.epoch, history.loss, lw=1.2, label="loss")
weight = [entropy_weight(lambda_se, e / epochs) for e in range(epochs)]
_ = left.plot(range(epochs), weight, ":", color="black", lw=1, label="entropy weight")
_ = right.plot(history.epoch, history.val_r2, lw=1.2)
_ = left.set(xlabel="epoch", ylabel="training loss (dimensionless)", ylim=(1e-3, None))
_ = right.set(
    xlabel="epoch", ylabel=r"mean $R^2$ on validation tissues", ylim=(0, 1.02)
)
_ = left.legend(frameon=False, fontsize="small")
figures.show(
    fig,
    "Left, over the epochs on a logarithmic axis: the training loss falls and "
    "flattens, the weight of the entropy term fades to zero. Right: the mean R² on "
    "validation tissues rises quickly and levels off.",
)

# %% [markdown]
# Left: the loss on the training tissues falls on the whole and flattens as
# the learning rate goes to zero. Right: the validation $R^2$ levels off. It
# is slightly optimistic at its best epoch, since that epoch was chosen by
# it. The two panels show different quantities, so the figure does not tell
# how much better the network does on its own training tissues;
# {doc}`14_undeclared_choices` scores both.
#
# **Claim: the validation score has settled.** Over the last tenth of the
# epochs it changes by less than 0.02.

# %%
last = history[history.epoch >= 0.9 * epochs].val_r2
assert last.max() - last.min() < 0.02, last.max() - last.min()

# %% [markdown]
# ## Test tissues of the split
#
# Each test tissue of the split gets an $R^2$ of its raw ECG. The table
# gathers them by condition.

# %%
ecg_true, ecg_pred = test.ecg.numpy(), predict(model, test, task.scale)
result = score_ecgs(ecg_true, ecg_pred).assign(
    sim=members["test"], condition=tissues.condition[members["test"]].to_numpy()
)
result.round(6).to_csv(result_file("09_training.csv"), index=False)
assert result.r2.mean() >= claim_r2_min, result.r2.mean()
by_condition = result.groupby("condition").r2.apply(summarize).unstack()
present = [c for c in figures.COLORS if c in by_condition.index]
printed(
    by_condition.loc[present, ["mean", "sd", "median", "worst"]],
    caption="R² of the paper's network on test tissues, by condition.",
)

# %% tags=["hide-input"]
on_split = f"{len(result)} test tissues of the split, 1 seed"
headline("seq2seq_r2_split", result.r2.mean(), tolerance=0.02, on=on_split)

# %% [markdown]
# The next figure shows four of these tissues, chosen by the rank of their
# score.

# %%
order = np.argsort(result.r2.to_numpy())
picks = {
    "worst": order[0],
    "lower quartile": order[len(order) // 4],
    "median": order[len(order) // 2],
    "best": order[-1],
}

# %% tags=["hide-input"]
fig, axes = plt.subplots(2, 2, figsize=(9.5, 5.6), sharex=True)
for ax, (rank, k) in zip(axes.flat, picks.items(), strict=True):
    condition = figures.LABELS[result.condition[k]]
    title = f"{rank}: tissue {members['test'][k]}, {condition}"
    figures.ecg_traces(ax, test.t, ecg_true[k], {"network": ecg_pred[k]}, title)
    ax.label_outer()
_ = axes[0, 0].legend(frameon=False, fontsize="small")
figures.show(
    fig,
    "Predicted and true ECGs over time of four test tissues, from the worst to the "
    "best. The network follows the shape of all of them; in the worst it misses sizes "
    "and notches, in the best nothing is left to see.",
)

# %% [markdown]
# Each panel has the predicted over the true ECG, on a scale of its own. The
# tissues with the lowest scores have fibrosis. There the network misses
# small waves and notches, and the size of deflections. The network gives no
# measure of its uncertainty. The bands of {doc}`12_uncertainty` belong to
# another one, the structured surrogate.
#
# ## Cross-validation
#
# The split has 30 test tissues, and a few weak ECGs decide their mean. In
# the five folds every one of the 300 tissues is tested once. *Mild* tissue
# has less than 20 % fibrosis and none of it interstitial.

# %%
folds = pd.read_csv(RESULTS / "runs" / "seq2seq_cv.csv")
per_tissue = folds.groupby("sim")[["r2", "r2_normalized", "mild"]].mean()
kinds = {"all": per_tissue, "mild": per_tissue[per_tissue.mild > 0]}
rows = {}
for kind, chosen in kinds.items():
    normalized = chosen.r2_normalized.mean()
    rows[kind] = {**summarize(chosen.r2), "mean, normalized ECGs": normalized}
cv = pd.DataFrame(rows).T.drop(columns="flat")
assert cv["mean"]["all"] >= claim_folds_min
printed(cv, caption="R² of the paper's network in the cross-validation.")

# %% tags=["hide-input"]
n_seeds = folds.seed.nunique()
seeds_used = f"{n_seeds} seed{'s' * (n_seeds > 1)}"
scale = f"{folds.sim.nunique()} tissues, {folds.fold.nunique()} folds, {seeds_used}"
on_mild = f"{scale}, mild"
for key, column, kind, tolerance, on in (
    ("mean", "mean", "all", 0.01, scale),
    ("sd", "sd", "all", 0.02, f"{scale}, SD over tissues"),
    ("median", "median", "all", 0.01, scale),
    ("mean_mild", "mean", "mild", 0.01, on_mild),
    ("sd_mild", "sd", "mild", 0.01, f"{on_mild}, SD over tissues"),
):
    headline(f"seq2seq_r2_{key}", cv[column][kind], tolerance=tolerance, on=on)

# %% [markdown]
# The columns are mean, SD, median and worst $R^2$ over tissues, their
# number, and the mean of ECGs divided by their own size. Traces are scored
# every 5 ms, linear between the network's samples. The paper reports a mean
# of 0.99 ± 0.01. Our mild tissue comes closer to this than the rest and
# does not reach it. Fibrosis lowers the mean. Which fibrosis the paper had,
# and how its tissues were split, is not known; {doc}`14_undeclared_choices`
# tries several readings.
#
# ## What limits the score
#
# The settings that the paper leaves open were searched on **validation**
# tissues of the split, one change at a time from the first row, with fewer
# epochs to make the search affordable. Nothing was tried on test tissues.

# %%
search = pd.read_csv(RESULTS / "runs" / "seq2seq_search.csv")
trainings = pd.read_csv(RESULTS / "runs" / "seq2seq_search_trainings.csv")
found = search.groupby("variant", sort=False).r2.apply(summarize).unstack()
found = found[["mean", "median", "worst"]]
found["mild"] = search[search.mild].groupby("variant").r2.mean()
found["minutes, one thread"] = trainings.groupby("variant").minutes.mean()
printed(
    found,
    caption="The search of settings: R² on validation tissues, and minutes a training.",
)

# %% [markdown]
# The columns are mean, median and worst $R^2$ over 30 validation tissues,
# one seed each, and the mean over the mild ones. The minutes were taken
# with other trainings on the same machine. Another seed can change a mean
# by about 0.01, so most of these choices make no measurable difference.
#
# The two largest losses come from less data: from training without mirror
# images and turns, and with half of the tissues. A decoder that looks back
# only, and maps of 25 pixels, come next. Dilated convolutions do at least
# as well as the LSTM, and a linear encoder as well as the convolutional
# one. So in this search no single part limits the network, and less data
# costs more than any change of a part. One seed makes this a hint and no
# proof. {doc}`15_ablations` changes the parts with five seeds, and
# {doc}`17_data_efficiency` the number of tissues.
#
# The search has one size of network, whose first layer has a stride of four
# pixels. It says nothing about a larger network, or about finer features.
# The structured surrogate ({doc}`10_structured`) gains far more than any
# row here, because it does not have to learn the operator.
#
# ## Attention weights
#
# Attention mixes the latent vectors of all instants before the LSTM reads
# them in order. The map shows, for the median tissue, how much each instant
# (rows) takes from each other one (columns), averaged over the heads.

# %%
k = picks["median"]
if model.config.attention:
    with torch.no_grad():
        weights = model(test.u[k : k + 1].float(), test.t)[1][0]
    end = float(test.t[-1])
    logarithmic = "log" if weights.min() > 0 else None
    fig, ax = plt.subplots(figsize=(4.6, 3.8))
    image = ax.imshow(weights, extent=(0, end, 0, end), cmap="magma", norm=logarithmic)
    _ = ax.set(xlabel="attended time (ms)", ylabel="time of the output (ms)")
    _ = fig.colorbar(image, label="attention weight (1)")
    figures.show(
        fig,
        "Map of attention weights, time of the output against attended time, on a "
        "logarithmic color scale. Bright columns at early times are consulted by many "
        "outputs; early outputs give late times little weight.",
    )

# %% [markdown]
# Each row sums to one. Bright columns are instants from which many others
# take. The map shows what the layer mixes. It does not show what the
# prediction depends on; {doc}`15_ablations` measures whether attention
# helps at all.
#
# ## Weights
#
# The weights are kept in a file with a card that says what they expect.
# They are then read back, and give the same ECG as before. The network that
# `load_surrogate("paper")` gives is another one. It was trained on all
# tissues of {doc}`17_data_efficiency`, which takes too long for this page.

# %%
save_models(
    [model],
    model_file("paper_240.safetensors"),
    scale=task.scale,
    time=train.t.tolist(),
    seeds=[seed],
    train=config.__dict__,
    loss=task.config.__dict__,
    data=recipe.__dict__ | {"cell": recipe.cell.name},
    split="80/10/10 of 07_dataset",
    best_epoch=int(history.val_r2.idxmax()),
    test_r2_mean=round(float(result.r2.mean()), 4),
)
(again,), card = load_models(model_file("paper_240.safetensors"))
assert np.allclose(predict(again, test, card["scale"]), ecg_pred, atol=1e-6)

# %% tags=["hide-input"]
xr.Dataset(
    {"ecg_true": (("sim", "time"), ecg_true), "ecg_pred": (("sim", "time"), ecg_pred)},
    coords={"sim": members["test"], "time": test.t.numpy()},
).astype("float32").to_netcdf(result_file("09_training_ecg.nc"), engine="scipy")
history.drop(columns="seconds").round(6).to_csv(
    result_file("09_training_history.csv"), index=False
)
print(headline.provenance())
