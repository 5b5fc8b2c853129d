"""Training: determinism, going on from a checkpoint bit for bit, and prediction on one's own maps."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from filelock import FileLock
from safetensors import safe_open
from safetensors.torch import load_file

from compendium.registry import ROOT
from forwardecg.cache import code_hash, key
from forwardecg.measure.scores import r2
from forwardecg.surrogates import checkpoint, files
from forwardecg.surrogates import train as module
from forwardecg.surrogates.paper.data import Sequences
from forwardecg.surrogates.paper.model import Seq2Seq, Seq2SeqConfig
from forwardecg.surrogates.paper.task import Seq2SeqLoss, Seq2SeqTask, predict
from forwardecg.surrogates.train import TrainConfig, initialize, learning_rate
from forwardecg.surrogates.train import fit as fit_task
from forwardecg.surrogates.train import load_or_fit as load_or_fit_task

TINY = Seq2SeqConfig(pixels=10, channels=(4, 8), width=16, heads=2)
SHORT = TrainConfig(epochs=4, batch=4, lr=3e-3)
LOSS = Seq2SeqLoss()


def fit(net, train, val, config, checkpoint=None, on_epoch=lambda row: None, loss=LOSS):
    """One training of the paper's architecture: the network, the scale of its task, and the history."""
    model, task = initialize(lambda: Seq2Seq(net), config.seed), Seq2SeqTask(train, val, loss)
    return model, task.scale, fit_task(model, task, config, checkpoint, on_epoch)


def load_or_fit(net, train, val, config):
    model = initialize(lambda: Seq2Seq(net), config.seed)
    return model, load_or_fit_task(model, Seq2SeqTask(train, val, LOSS), config)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def data(toy_dataset):
    return Sequences(toy_dataset(10), range(10), 10), Sequences(toy_dataset(4, seed=1), range(4), 10)


def weights_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def untimed(history):
    return history.drop(columns="seconds")


def test_learning_rate_warms_up_and_ends_at_zero():
    config = TrainConfig(lr=2.0)
    assert learning_rate(config, 0.05) == pytest.approx(1.0) and learning_rate(config, 0.1) == pytest.approx(2.0)
    assert learning_rate(config, 0.55) == pytest.approx(1.0)
    assert learning_rate(config, 1.0) == pytest.approx(0, abs=1e-15)


def test_one_batch_is_overfitted(toy_dataset):
    four = Sequences(toy_dataset(10), range(4), 10)
    config = TrainConfig(epochs=150, batch=4, lr=1e-2, weight_decay=0.0)
    _, _, history = fit(TINY, four, four, config, loss=Seq2SeqLoss(lambda_se=0.0, augment=False))
    assert history.val_r2.max() > 0.99
    assert history.loss.iloc[-1] < 0.02 * history.loss.iloc[0]


def test_same_seed_gives_the_same_losses_and_weights_bit_for_bit(data):
    torch.manual_seed(5)  # whatever the state of the global generator
    model_a, card_a, a = fit(TINY, *data, SHORT)
    torch.manual_seed(6)
    model_b, card_b, b = fit(TINY, *data, SHORT)
    assert untimed(a).equals(untimed(b)) and card_a == card_b
    assert same(weights_of(model_a), weights_of(model_b))


def test_training_leaves_the_global_generator_alone(data):
    before = torch.get_rng_state()
    fit(TINY, *data, replace(SHORT, epochs=1))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"weight_decay": 0.5}, {"batch": 5}, {"lr": 1e-3}, {"precision": "bfloat16"}]
)
def test_another_seed_or_setting_gives_another_training(data, change):
    _, _, a = fit(TINY, *data, SHORT)
    _, _, b = fit(TINY, *data, replace(SHORT, **change))
    assert a.loss.iloc[-1] != b.loss.iloc[-1]


def test_the_moving_average_is_scored_and_kept(data):
    """By hand: after one epoch of one step the average lies between the first weights and the trained ones."""
    train, val = data
    one = replace(SHORT, epochs=1, batch=10)
    start = initialize(lambda: Seq2Seq(TINY), 0)
    trained, scale, _ = fit(TINY, train, val, one)
    averaged, _, history = fit(TINY, train, val, replace(one, ema=0.9))
    for name, tensor in averaged.state_dict().items():
        expected = 0.9 * start.state_dict()[name] + 0.1 * trained.state_dict()[name]
        assert torch.allclose(tensor, expected, atol=1e-7), name
    assert history.val_r2[0] == pytest.approx(module_r2(val, averaged, scale), rel=1e-9)


def test_training_stops_when_validation_no_longer_improves(data, tmp_path):
    """And a stopped training stays stopped: going on from its file trains no further."""
    data[1].ecg = 1 - data[1].ecg  # what is learned is wrong there
    config = replace(SHORT, epochs=30, lr=1e-2, patience=3)
    _, _, history = fit(TINY, *data, config, tmp_path / "c")
    best = int(history.val_r2.idxmax())
    assert len(history) == best + 4 < 30
    again = fit(TINY, *data, config, tmp_path / "c", interrupted_after(best + 4))[2]
    assert again.equals(history)


def module_r2(val, model, scale):
    return r2(val.ecg.numpy(), predict(model, val, scale)).mean()


def test_weights_of_the_best_epoch_are_kept(data):
    """Not those of the last one: validation ECGs that contradict the training make sure that the last is not the best."""
    train, val = data
    val.ecg = 1 - val.ecg
    model, scale, history = fit(TINY, train, val, replace(SHORT, epochs=8, lr=1e-2))
    assert history.val_r2.idxmax() < 7, "the case is no test otherwise"
    assert module_r2(val, model, scale) == pytest.approx(history.val_r2.max(), rel=1e-9)


class Interrupt(Exception):
    pass


def interrupted_after(epoch):
    def on_epoch(row):
        if row["epoch"] == epoch:
            raise Interrupt

    return on_epoch


@pytest.mark.parametrize(("stop", "ema"), [(0, 0.0), (2, 0.9)])
def test_resumed_training_equals_an_uninterrupted_one_bit_for_bit(data, tmp_path, stop, ema):
    """Weights, their average, optimizer, order of the tissues and turns of the maps all go on where they were."""
    config = replace(SHORT, ema=ema)
    straight, card, history = fit(TINY, *data, config, tmp_path / "straight")
    with pytest.raises(Interrupt):
        fit(TINY, *data, config, tmp_path / "c", interrupted_after(stop))
    epochs = []
    resumed, card_resumed, history_resumed = fit(
        TINY, *data, config, tmp_path / "c", lambda row: epochs.append(row["epoch"])
    )
    assert epochs == list(range(stop + 1, 4)), "what was done is not done again"
    assert same(weights_of(straight), weights_of(resumed))
    assert untimed(history).equals(untimed(history_resumed)) and card == card_resumed
    assert same(load_file(tmp_path / "straight"), load_file(tmp_path / "c")), "the optimizer too"


def test_a_checkpoint_says_what_code_and_libraries_made_it(data, tmp_path):
    fit(TINY, *data, replace(SHORT, epochs=1), tmp_path / "c")
    with safe_open(tmp_path / "c", "pt") as file:
        about = file.metadata()
    code = code_hash([*checkpoint.LOOP, *Seq2SeqTask.code])
    assert about["code"] == code and about["made_with"].startswith("Python ") and "torch" in about["made_with"]


def test_a_finished_training_is_loaded(data, tmp_path):
    model, card, history = fit(TINY, *data, SHORT, tmp_path / "c")
    again, card_again, history_again = fit(TINY, *data, SHORT, tmp_path / "c", interrupted_after(0))
    assert same(weights_of(model), weights_of(again)) and history.equals(history_again) and card == card_again


def test_a_half_written_checkpoint_never_replaces_a_good_one(data, tmp_path, monkeypatch):
    straight, _, _ = fit(TINY, *data, SHORT)
    save, calls = files.save, []

    def dying(tensors, metadata):
        calls.append(metadata)
        if len(calls) == 3:
            raise Interrupt
        return save(tensors, metadata)

    monkeypatch.setattr(files, "save", dying)
    with pytest.raises(Interrupt):
        fit(TINY, *data, SHORT, tmp_path / "c")
    monkeypatch.setattr(files, "save", save)
    epochs = []
    resumed, _, _ = fit(TINY, *data, SHORT, tmp_path / "c", lambda row: epochs.append(row["epoch"]))
    assert epochs == [2, 3], "two epochs were safe"
    assert same(weights_of(straight), weights_of(resumed))
    assert [path.name for path in tmp_path.iterdir()] == ["c"], "no litter"


def test_a_checkpoint_of_another_network_is_refused(data, tmp_path):
    fit(TINY, *data, replace(SHORT, epochs=1), tmp_path / "c")
    for change in ({"width": 32}, {"decoder": "tcn"}, {"time": "none"}):
        with pytest.raises(ValueError, match="checkpoint c: expected the state of a training of this Seq2Seq"):
            fit(replace(TINY, **change), *data, SHORT, tmp_path / "c")
    (tmp_path / "c").write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match="checkpoint c: expected the state of a training of this Seq2Seq"):
        fit(TINY, *data, SHORT, tmp_path / "c")


class Line:
    """A task of one weight vector: the smallest there is."""

    n_train, X = 8, torch.arange(48.0).reshape(8, 6) / 48

    def draw(self, members, generator):
        return self.X[members]

    def loss(self, model, drawn, rows, done):
        return (model(drawn[rows]) - 1).square()[:, 0]

    def score(self, model):
        return -float((model(self.X) - 1).square().mean().detach())


LINE = TrainConfig(epochs=3, batch=4)


def fit_line(path=None, config=LINE, task=None):
    model = initialize(lambda: torch.nn.Linear(6, 1), 0)
    fit_task(model, task or Line(), config, path)
    return weights_of(model)


@pytest.mark.parametrize("change", [{"lr": 1e-3}, {"batch": 2}, {"seed": 1}, {"epochs": 4}, {"ema": 0.5}])
def test_a_checkpoint_of_other_settings_is_refused(tmp_path, change):
    fit_line(tmp_path / "c")
    (name,) = change
    with pytest.raises(ValueError, match=f"checkpoint c: expected the state of .*: made with {name} = .*, not"):
        fit_line(tmp_path / "c", replace(LINE, **change))
    more = Line()
    more.n_train = 7
    with pytest.raises(ValueError, match="made with tissues = 8, not 7"):
        fit_line(tmp_path / "c", task=more)


def test_a_flipped_bit_of_a_checkpoint_is_found_wherever_it_is(tmp_path):
    """By its digest; what is read is either the same, or refused."""
    right = fit_line(tmp_path / "c")
    whole = (tmp_path / "c").read_bytes()
    assert same(fit_line(tmp_path / "c"), right)
    for byte in torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))[:150].tolist():
        changed = bytearray(whole)
        changed[byte] ^= 1 << byte % 8
        (tmp_path / "c").write_bytes(bytes(changed))
        try:
            found = fit_line(tmp_path / "c")
        except ValueError as error:
            assert "checkpoint c: expected" in str(error)
        else:
            assert same(found, right), byte


def test_a_checkpoint_from_before_the_digests_is_taken(tmp_path):
    """Trainings of hours lie in caches: they have no digest and no settings."""
    right = fit_line(tmp_path / "c")
    with safe_open(tmp_path / "c", "pt") as file:
        about = {name: word for name, word in file.metadata().items() if name not in ("digest", "settings")}
    files.write_tensors(tmp_path / "c", load_file(tmp_path / "c"), about, seal=False)
    assert same(fit_line(str(tmp_path / "c")), right)


def test_numbers_of_numpy_are_those_of_python_in_settings():
    config = TrainConfig(epochs=np.int64(3), batch=np.int32(4), lr=np.float64(3e-3), seed=np.uint8(2))
    assert config == TrainConfig(epochs=3, batch=4, lr=3e-3, seed=2)
    assert {type(value) for value in asdict(config).values()} == {int, float, str, type(None)}
    assert key("stage", 1, config) == key("stage", 1, TrainConfig(epochs=3, batch=4, lr=3e-3, seed=2))
    net = replace(TINY, width=np.int64(16), attention=np.bool_(True), channels=[4, np.int64(8)])
    assert net == TINY and key("stage", 1, net) == key("stage", 1, TINY)
    whole = TrainConfig(lr=1, weight_decay=0)
    assert type(whole.lr) is type(whole.weight_decay) is int, "names of cached work hold what was given"


def test_a_diverging_training_ends_with_an_error(data):
    with pytest.raises(FloatingPointError, match="loss: expected finite values, got nan in epoch 0"):
        train, val = data
        train.u[:] = torch.inf
        fit(TINY, train, val, SHORT)


def test_a_training_that_another_has_in_work_is_waited_for(data, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CACHE", tmp_path)
    first = load_or_fit(TINY, *data, SHORT)[1]
    (path,) = (tmp_path / "training").glob("*.safetensors")
    path.rename(tmp_path / "finished")
    with ThreadPoolExecutor(1) as pool:
        with FileLock(path.with_suffix(".lock")):
            waiting = pool.submit(load_or_fit, TINY, *data, SHORT)
            assert wait([waiting], timeout=0.5).not_done == {waiting}
            (tmp_path / "finished").rename(path)
        assert waiting.result()[1].equals(first), "found, seconds of each epoch included: not trained again"


def test_load_or_fit_trains_once_and_again_when_data_or_settings_change(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "CACHE", tmp_path)
    train, val = data
    model, history = load_or_fit(TINY, train, val, SHORT)
    assert "seed 0: epoch 4/4" in capsys.readouterr().out
    files = lambda: len(list((tmp_path / "training").glob("*.safetensors")))  # noqa: E731
    again, history_again = load_or_fit(TINY, train, val, SHORT)
    assert capsys.readouterr().out == "" and files() == 1
    assert same(weights_of(model), weights_of(again)) and history.equals(history_again)
    load_or_fit(TINY, train, val, replace(SHORT, seed=1))
    load_or_fit(replace(TINY, time="none"), train, val, SHORT)
    train.ecg[0, 0] += 1e-3
    load_or_fit(TINY, train, val, SHORT)
    val.u[0, 0, 0, 0] += 1e-2
    load_or_fit(TINY, train, val, SHORT)
    val.t[-1] += 1
    load_or_fit(TINY, train, val, SHORT)
    assert files() == 6


def test_a_version_names_a_training_and_an_edit_does_not(data, tmp_path, monkeypatch):
    """A hint, a docstring, another name for what is private, a function moved: the code is in no name."""
    monkeypatch.setattr(module, "CACHE", tmp_path)
    names = lambda: {path.name for path in (tmp_path / "training").glob("*.safetensors")}  # noqa: E731
    load_or_fit(TINY, *data, SHORT)
    (first,) = names()
    assert first.startswith("paper-v1-")
    monkeypatch.setattr(checkpoint, "code_hash", lambda *_: "edited")
    monkeypatch.setattr(checkpoint, "versions_of", lambda *_: "other libraries")
    load_or_fit(TINY, *data, SHORT)
    assert names() == {first}
    monkeypatch.setattr(Seq2SeqTask, "version", 2)
    load_or_fit(TINY, *data, SHORT)
    monkeypatch.setattr(module, "VERSION", 2)
    load_or_fit(TINY, *data, SHORT)
    assert len(names()) == 3


def test_bad_settings_are_refused():
    for change, name in (
        ({"epochs": 0}, "epochs"),
        ({"batch": 2.5}, "batch"),
        ({"lr": -1.0}, "lr"),
        ({"ema": 1.0}, "ema"),
        ({"patience": 0}, "patience"),
        ({"precision": "float16"}, "precision"),
        ({"lr": "a"}, "lr"),
        ({"lr": True}, "lr"),
        ({"batch": True}, "batch"),
        ({"seed": -1}, "seed"),
    ):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            replace(SHORT, **change)
    with pytest.raises(ValueError, match="delta: expected a number > 0"):
        Seq2SeqLoss(delta=0.0)
    for change, name in (({"pixels": 0}, "pixels"), ({"channels": ()}, "channels"), ({"heads": 0}, "heads")):
        with pytest.raises(ValueError, match=name):
            replace(TINY, **change)


PROCESS = """
import sys
from dataclasses import replace
import torch
from conftest import make_toy_dataset
from test_train import LOSS, SHORT, TINY
from forwardecg.surrogates.paper.model import Seq2Seq
from forwardecg.surrogates.paper.data import Sequences
from forwardecg.surrogates.paper.task import Seq2SeqTask
from forwardecg.surrogates.train import fit, initialize
from safetensors.torch import save_file

torch.set_num_threads(1)
if "LOCAL_RANK" in __import__("os").environ:
    torch.distributed.init_process_group("gloo")
train, val = Sequences(make_toy_dataset(10), range(10), 10), Sequences(make_toy_dataset(4, seed=1), range(4), 10)
model = initialize(lambda: Seq2Seq(TINY), 0)
history = fit(model, Seq2SeqTask(train, val, LOSS), SHORT)
rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 9
save_file(model.state_dict(), f"{sys.argv[1]}/{rank}.safetensors", {"loss": str(history.loss.tolist())})
"""


def test_two_processes_of_torchrun_train_the_same_network_as_one(tmp_path):
    """Every process draws the same batch and takes its share: gradients differ by rounding alone."""
    script = tmp_path / "train.py"
    script.write_text(PROCESS)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("src", "tests", "tests/surrogates")),
        "OMP_NUM_THREADS": "1",
    }
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=0", "--rdzv-backend=c10d",
                "--rdzv-endpoint=localhost:0"]  # fmt: skip
    for command in ([*torchrun, str(script)], [sys.executable, str(script)]):
        done = subprocess.run([*command, str(tmp_path)], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    first, second, alone = (load_file(tmp_path / f"{n}.safetensors") for n in (0, 1, 9))
    assert same(first, second), "all processes end with the same weights"
    start = initialize(lambda: Seq2Seq(TINY), 0).state_dict()
    moved = sum((alone[name] - start[name]).abs().sum() for name in start)
    gap = sum((first[name] - alone[name]).abs().sum() for name in start)
    assert moved > 10 and gap < 1e-2 * moved, "Adam enlarges rounding where a gradient is all but zero, and only there"
    losses = []
    for n in (0, 9):
        with safe_open(tmp_path / f"{n}.safetensors", "pt") as file:
            losses.append(json.loads(file.metadata()["loss"]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
