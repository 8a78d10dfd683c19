"""The pieces of IPPO and MAPPO against known answers, and runs that survive."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spiral_env.agents.checkpoint import NetworkPolicy, read_policy, write_policy
from spiral_env.policy import STATUS_QUO
from spiral_env.roles import ROLES
from spiral_env.training import TrainConfig
from spiral_env.training import train as run_training
from spiral_env.training.algorithms.es import EsTrainer
from spiral_env.training.algorithms.ippo import LocalCritic
from spiral_env.training.algorithms.mappo import CentralCritic
from spiral_env.training.algorithms.ppo import Trainer
from spiral_env.training.learning.by_hand import ByHand
from spiral_env.training.learning.compiled import sample
from spiral_env.training.learning.flat import Adam, clip_, flatten, views
from spiral_env.training.learning.gradients import ByAutograd, Weights
from spiral_env.training.learning.losses import categorical_terms, gaussian_terms, policy_loss
from spiral_env.training.learning.normalisation import Normaliser
from spiral_env.training.learning.returns import gae

SMALL = TrainConfig(
    scenario="small-v1",
    num_envs=8,
    num_steps=20,
    minibatches=2,
    epochs=2,
    timesteps=8 * 20 * 11 * 4,
    hidden=16,
    env_threads=1,
)


def test_gae_with_lambda_one_is_the_discounted_return() -> None:
    rewards, values = np.array([[1.0], [2.0], [3.0]]), np.array([[0.5], [0.5], [0.5]])
    ends = np.zeros((3, 1), dtype=bool)
    advantages, targets = gae(rewards, values, np.array([10.0]), ends, np.zeros((3, 1)), 0.9, 1.0)
    assert targets[0, 0] == pytest.approx(1 + 0.9 * 2 + 0.81 * 3 + 0.729 * 10)
    assert advantages[0, 0] == pytest.approx(targets[0, 0] - 0.5)


def test_gae_stops_at_an_end_and_bootstraps_a_truncation() -> None:
    rewards, values = np.ones((2, 2)), np.zeros((2, 2))
    ends = np.array([[True, True], [False, False]])
    end_values = np.array([[0.0, 4.0], [0.0, 0.0]])
    _, targets = gae(rewards, values, np.array([100.0, 100.0]), ends, end_values, 0.5, 0.95)
    assert targets[0].tolist() == [1.0, 3.0]


def test_categorical_terms_equal_the_distribution_of_torch() -> None:
    logits = torch.randn(7, 5, 3)
    actions = torch.randint(0, 3, (7, 5))
    log_p, entropy = categorical_terms(logits, actions)
    peer = torch.distributions.Categorical(logits=logits)
    torch.testing.assert_close(log_p, peer.log_prob(actions).sum(-1))
    torch.testing.assert_close(entropy, peer.entropy().sum(-1))


def test_gaussian_terms_equal_the_distribution_of_torch() -> None:
    mean, log_std, actions = torch.randn(7, 5), torch.randn(5), torch.randn(7, 5)
    log_p, entropy = gaussian_terms(mean, log_std, actions)
    peer = torch.distributions.Normal(mean, log_std.exp())
    torch.testing.assert_close(log_p, peer.log_prob(actions).sum(-1))
    torch.testing.assert_close(entropy, peer.entropy().sum(-1))


def test_the_policy_loss_ignores_gains_past_the_clip() -> None:
    old = torch.zeros(2)
    log_p = torch.log(torch.tensor([1.5, 0.5])).requires_grad_()
    loss, _ = policy_loss(log_p, old, torch.tensor([1.0, -1.0]), 0.2)
    (gradient,) = torch.autograd.grad(loss, log_p)
    assert loss.item() == pytest.approx(-1.2 + 0.8)
    assert gradient.tolist() == [0.0, 0.0]


def test_an_actor_past_its_kl_rests_while_the_critic_learns() -> None:
    config = replace(SMALL, target_kl=1e-12, epochs=3)
    trainer, once = (
        Trainer(config, LocalCritic, central=False),
        Trainer(replace(config, epochs=1), LocalCritic, central=False),
    )
    for one in (trainer, once):
        one.iterate()
    for role in ROLES:
        mine, other = trainer.team[role].tensors(), once.team[role].tensors()
        for name in (n for n in mine if n.startswith(("actor.", "adam.actor."))):
            np.testing.assert_array_equal(mine[name], other[name], name)
        assert (mine["critic.head.weight"] != other["critic.head.weight"]).any()
        assert mine["adam.critic.steps"] == 3 * other["adam.critic.steps"]
    trainer.close()
    once.close()


def test_the_strategy_counts_no_month_after_an_end(tmp_path: Path) -> None:
    world = tmp_path / "brittle.toml"
    world.write_text(
        'extends = "small-v1"\nid = "brittle-v0"\n[params]\ncollapse_trust = 0.45\ncollapse_trust_months = 2.0\n'
    )
    config = replace(SMALL, algo="es", layers=0, num_envs=64, scenario=str(world), start_logit=0.1)
    trainer = EsTrainer(config)
    figures = trainer.iterate()
    months = round(figures["outcome/episode_length"] * config.num_envs)
    longest = trainer.agent_steps // (config.num_envs * trainer.env.num_agents)
    assert months < longest * config.num_envs
    for role, species in trainer.species.items():
        assert species.observations.count == months * trainer.env.num_agents_of[role]
    trainer.close()


def test_rows_that_do_not_count_are_not_noted() -> None:
    rows = np.random.default_rng(0).normal(5.0, 3.0, (6, 2, 4)).astype(np.float32)
    some, all_ = Normaliser(4), Normaliser(4)
    counted = np.array([True, False, True, True, False, True])
    out, want = np.empty_like(rows), np.empty_like(rows[counted])
    some.note(rows, out, counted)
    all_.note(np.ascontiguousarray(rows[counted]), want)
    some.take_noted()
    all_.take_noted()
    assert some.count == 8
    np.testing.assert_array_equal(some.mean, all_.mean)
    np.testing.assert_array_equal(out[counted], want)
    assert (out[~counted] == 0.0).all()


def test_the_normaliser_has_the_moments_of_all_rows() -> None:
    rows = np.random.default_rng(0).normal(5.0, 3.0, (300, 4))
    norm = Normaliser(4)
    for part in np.array_split(rows, 7):
        norm.update(part)
    np.testing.assert_allclose(norm.mean, rows.mean(0))
    np.testing.assert_allclose(norm.std, rows.std(0))


def test_rescaling_the_targets_keeps_what_the_critic_says() -> None:
    trainer = Trainer(SMALL, LocalCritic, central=False)
    learner = trainer.team["it"]
    x = np.random.default_rng(0).normal(size=(9, 1, learner.actor.body[0].in_features)).astype(np.float32)
    before = learner.values(x, None)
    learner.rescale(np.array([[3.0], [9.0]]))
    np.testing.assert_allclose(learner.values(x, None), before, rtol=1e-4, atol=1e-5)
    trainer.close()


def test_rows_noted_one_by_one_are_scaled_and_taken_in_like_all_at_once() -> None:
    rows = np.random.default_rng(0).normal(5.0, 3.0, (300, 4)).astype(np.float32)
    norm, whole = Normaliser(4), Normaliser(4)
    norm.update(rows[:100])
    whole.update(rows)
    out = np.empty((200, 4), np.float32)
    for k in range(0, 200, 50):
        norm.note(rows[100 + k : 150 + k], out[k : k + 50])
    np.testing.assert_array_equal(out, norm.apply(rows[100:]))
    norm.take_noted()
    norm.take_noted()
    np.testing.assert_allclose(norm.mean, whole.mean)
    np.testing.assert_allclose(norm.m2, whole.m2)


def test_adam_on_one_vector_moves_as_that_of_torch() -> None:
    torch.manual_seed(0)
    ours, peer = torch.nn.Linear(5, 3), torch.nn.Linear(5, 3)
    peer.load_state_dict(ours.state_dict())
    adam = Adam(flatten(list(ours.parameters())))
    reference = torch.optim.Adam(peer.parameters(), lr=0.01, eps=1e-5)
    for _ in range(5):
        gradient = torch.zeros_like(adam.flat)
        for part, parameter in zip(views(gradient, list(ours.parameters())), peer.parameters(), strict=True):
            part.normal_()
            parameter.grad = part.clone()
        norm = torch.nn.utils.clip_grad_norm_(peer.parameters(), 0.5)
        reference.step()
        assert clip_(gradient, 0.5) == pytest.approx(float(norm), rel=1e-5)
        adam.step(gradient, 0.01)
    for a, b in zip(ours.parameters(), peer.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_sampling_draws_by_the_probabilities_and_gives_their_logarithms() -> None:
    logits = np.log(np.array([0.2, 0.5, 0.3, 0.6, 0.4, 1.0], dtype=np.float32))
    rows, counts = np.broadcast_to(logits, (20000, 6)).copy(), np.array([3, 2])
    actions, log_p = np.empty((20000, 2), np.int64), np.empty(20000, np.float32)
    sample(rows, counts, np.random.default_rng(0).random((20000, 2), dtype=np.float32), actions, log_p)
    for column, want in zip(actions.T, ([0.2, 0.5, 0.3], [0.6, 0.4, 0.0]), strict=True):
        np.testing.assert_allclose(np.bincount(column, minlength=3) / 20000, want, atol=0.012)
    given = torch.from_numpy(rows).view(-1, 2, 3)
    given[:, 1, 2] = -1e9
    np.testing.assert_allclose(log_p, categorical_terms(given, torch.from_numpy(actions))[0], atol=1e-5)


@pytest.mark.parametrize("moving", [True, False])
@pytest.mark.parametrize("critic", [LocalCritic, CentralCritic])
def test_a_gradient_by_hand_equals_that_of_autograd(critic: type, moving: bool) -> None:
    trainer = Trainer(SMALL, critic, central=critic is CentralCritic)
    rollout = trainer.player.collect(20)
    trainer.player.judge(rollout, 0.99, 0.95)
    cells = np.random.default_rng(0).permutation(160)[:50]
    for role, learner in trainer.team.items():
        torch.nn.init.normal_(learner.actor.head.weight)
        rollout.roles[role].log_p += np.random.default_rng(1).normal(0.0, 0.5, rollout.roles[role].log_p.shape)
        batch = trainer.updater._batch(role, rollout)
        pieces = [kind(learner, Weights(0.2, 0.01, 0.5)) for kind in (ByHand, ByAutograd)]
        sums = [piece.take(batch, cells, 0.01, moving) for piece in pieces]
        np.testing.assert_allclose(sums[0], sums[1], rtol=1e-4)
        torch.testing.assert_close(pieces[0].out, pieces[1].out, rtol=1e-4, atol=1e-5)
        assert pieces[0].out.abs().max() > 1e-3
    trainer.close()


@pytest.mark.parametrize("pieces", [2, 3])
def test_pieces_of_a_minibatch_change_only_rounding(pieces: int) -> None:
    weights = []
    for count in (1, pieces):
        trainer = Trainer(replace(SMALL, gradient_pieces=count), LocalCritic, central=False)
        trainer.iterate()
        weights.append(trainer.team["sme"].tensors()["actor.head.weight"])
        trainer.close()
    np.testing.assert_allclose(weights[0], weights[1], atol=2e-4)


@pytest.mark.parametrize(
    ("algo", "options"),
    [
        ("ippo", {}),
        ("mappo", {}),
        ("ippo", {"recurrent": "sme,it"}),
        ("ippo", {"continuous": True}),
        ("es", {"timesteps": 8 * 60 * 11 * 4}),
        ("es", {"timesteps": 8 * 60 * 11 * 4, "layers": 0, "reward_mode": "cooperative"}),
    ],
    ids=["ippo", "mappo", "recurrent", "continuous", "es", "es-linear"],
)
def test_a_resumed_run_equals_an_uninterrupted_one_byte_for_byte(
    tmp_path: Path, algo: str, options: dict[str, object]
) -> None:
    config = replace(SMALL, algo=algo, **options)  # type: ignore[arg-type]
    whole = run_training(config, tmp_path / "whole")
    cut = replace(config, max_seconds=1e-6)
    run_training(cut, tmp_path / "cut")
    with (tmp_path / "cut/progress.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) < 4
    run_training(config, tmp_path / "cut", resume=True)
    assert (tmp_path / "cut/policy.safetensors").read_bytes() == (whole / "policy.safetensors").read_bytes()


def test_weights_move_and_seeds_matter(tmp_path: Path) -> None:
    finals = []
    for seed in (0, 1):
        trainer = Trainer(replace(SMALL, seed=seed), CentralCritic, central=True)
        before = trainer.team["finance"].tensors()["actor.body.0.weight"]
        trainer.iterate()
        after = trainer.team["finance"].tensors()["actor.body.0.weight"]
        assert not np.array_equal(before, after)
        finals.append(after)
        trainer.close()
    assert not np.array_equal(*finals)


def test_a_loss_that_is_not_a_number_stops_the_run_and_keeps_the_good_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spiral_env.training.algorithms import ppo

    iterate = ppo.Trainer.iterate

    def poisoned(self: Trainer) -> dict[str, float]:
        return iterate(self) | ({"value_loss/it": float("nan")} if self.iteration > 1 else {})

    monkeypatch.setattr(ppo.Trainer, "iterate", poisoned)
    with pytest.raises(ValueError, match="value_loss/it became nan"):
        run_training(replace(SMALL, checkpoint_seconds=1e-6), tmp_path / "run")
    read_policy(tmp_path / "run")


def test_a_recurrent_checkpoint_plays_as_the_network_that_was_trained(tmp_path: Path) -> None:
    trainer = Trainer(replace(SMALL, recurrent="sme"), LocalCritic, central=False)
    trainer.iterate()
    tensors, header = trainer.policy()
    write_policy(tmp_path, tensors, header)
    played, learner = NetworkPolicy(tmp_path, "sme"), trainer.team["sme"]
    rng = np.random.default_rng(0)
    memory = torch.zeros(6, 16)
    for _ in range(5):
        rows = rng.normal(size=(2, 3, learner.actor.body[0].in_features)).astype(np.float32)
        scaled = torch.from_numpy(learner.observations.apply(rows)).reshape(6, -1)
        with torch.no_grad():
            logits, after = learner.actor(scaled, memory)
        assert after is not None
        memory = after
        expected = logits.argmax(-1).reshape(2, 3, -1).numpy() / 2.0
        np.testing.assert_array_equal(played.act(rows), expected)
    trainer.close()


def test_the_start_is_the_average_firm() -> None:
    trainer = Trainer(replace(SMALL, start_logit=3.0), LocalCritic, central=False)
    for role, learner in trainer.team.items():
        with torch.no_grad():
            logits, _ = learner.actor(torch.zeros(1, learner.actor.body[0].in_features))
        nearest = np.round(2.0 * np.array(STATUS_QUO[role])) / 2.0
        assert (logits[0].argmax(-1) / 2.0).tolist() == nearest.tolist()
    trainer.close()


@pytest.mark.parametrize("apart", [True, False])
def test_the_strategy_climbs_towards_the_actions_that_pay(apart: bool) -> None:
    mode = "selfish" if apart else "cooperative"
    config = replace(
        SMALL, algo="es", layers=0, num_envs=64, learning_rate=0.1, es_sigma=0.1, reward_mode=mode, start_logit=0.1
    )
    trainer = EsTrainer(config)
    species = trainer.species["sme"]
    x = torch.zeros(64, 8, species.shapes[0][0])
    shares = []
    for generation in range(15):
        trainer.mutate(species, np.random.default_rng(generation))
        actions = species.act(x, config.es_sigma)
        pay = (actions[..., 4] == 2).double()
        shares.append(float(pay.mean()))
        species.learn(pay if apart else pay.mean(1, keepdim=True).expand_as(pay), config.learning_rate, 0.0)
    assert shares[-1] > 0.95 > shares[0]
    trainer.close()


@pytest.mark.parametrize(("name", "value"), [("recurrent", "it"), ("continuous", True), ("num_envs", 7)])
def test_the_strategy_refuses_what_it_cannot_do(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} must"):
        EsTrainer(replace(SMALL, algo="es", **{name: value}))  # type: ignore[arg-type]
