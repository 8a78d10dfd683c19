"""Money: every payment balances, statements agree with balances, and the values are sums of the statement."""

from __future__ import annotations

import numpy as np
import pytest
from episodes import keyed_efforts, opened, world

from spiral_env.core.ledger import NUM_PURPOSES, PURPOSE_CLASS, Account, Class, Phase, Purpose, SmeSlot, settle

SEEDS = range(6)
LOSSES = [p for p in Purpose if PURPOSE_CLASS[p] == Class.LOSS]
OPERATING = [p for p in Purpose if PURPOSE_CLASS[p] == Class.OPERATING]


@pytest.fixture(scope="module")
def books() -> list[tuple[np.ndarray, np.ndarray]]:
    """(states before, states after) of 48 months of random play."""
    engine = opened(world("small-v1", 48), SEEDS)
    out = []
    for month in range(48):
        before = engine.states.copy()
        engine.step(keyed_efforts(SEEDS, month, engine.num_agents))
        live = before["done"] == 0
        out.append((before[live], engine.states[live].copy()))
    return out


def test_every_payment_is_a_transfer(books) -> None:
    for _, after in books:
        assert np.abs(after["month_flow"].sum(2)).max() < 1e-9


def test_the_statement_explains_every_balance(books) -> None:
    for before, after in books:
        moved = after["month_flow"].sum(1)
        assert np.abs(after["balance"] - before["balance"] - moved).max() < 1e-6


def test_the_firms_hold_what_their_account_holds(books) -> None:
    for _, after in books:
        assert np.abs(after["sme_cash"].sum(1) - after["balance"][:, Account.SMES]).max() < 1e-6


def test_nothing_is_left_unsettled(books) -> None:
    for _, after in books:
        assert not after["sme_flow"].any()


def test_the_world_neither_gives_nor_takes_beyond_its_account(books) -> None:
    for _, after in books:
        assert np.abs(after["balance"].sum(1)).max() < 1e-6


def test_operating_value_is_what_the_world_paid_less_losses_in_expectation(books) -> None:
    params = opened(world(), range(1)).params[0]
    load = 1.0 + params.insurance * params.insured_share * params.insurance_load
    for _, after in books:
        paid = -after["month_flow"][:, OPERATING, Account.WORLD].sum(1)
        expected = after["expected_breach"] + after["sme_expected"].sum(1)
        fines = after["expected_privacy_fine"] + after["sme_expected_fine"].sum(1)
        value = paid - load * expected - fines - after["expected_credit_loss"]
        assert after["operating_value"] == pytest.approx(value, rel=1e-9, abs=1e-9)
        lost = after["month_flow"][:, LOSSES, Account.WORLD].sum(1)
        assert after["realised_value"] == pytest.approx(paid - lost - after["credit_loss"], rel=1e-9, abs=1e-9)
        team = value + after["certainty_equivalent"] - after["externality"]
        assert after["ecosystem_value"] == pytest.approx(team, rel=1e-9, abs=1e-9)
        # A seat that closed holds the numbers of the firm that came after.
        stayed = after[(after["sme_closing"] == 0).all(1)]
        emitted = params.esg_cost * (stayed["sme_revenue"] * (1.0 - stayed["sme_esg"])).sum(1)
        assert stayed["externality"] == pytest.approx(emitted + stayed["expected_harm"], rel=1e-9, abs=1e-9)


def test_loans_are_what_was_drawn_less_what_was_repaid_recovered_or_lost(books) -> None:
    for before, after in books:
        flow = after["month_flow"][:, :, Account.TREASURY]
        recovered = flow[:, Purpose.LOAN_RECOVERY]
        change = -flow[:, Purpose.LOAN_DRAW] - flow[:, Purpose.LOAN_REPAYMENT] - recovered - after["credit_loss"]
        assert after["loans"] - before["sme_loan"].sum(1) == pytest.approx(change, abs=1e-6)
        drawn = flow[:, Purpose.LOAN_DRAW]
        assert after["month_flow"][:, Purpose.LOAN_INVESTMENT, Account.SMES] == pytest.approx(drawn, abs=1e-9)


def test_fines_fees_and_premiums_are_paid_by_who_owes_them(books) -> None:
    for _, after in books:
        flow = after["month_flow"]
        assert -flow[:, Purpose.TENANT_FEE, Account.SMES] == pytest.approx(after["sme_fee"].sum(1))
        assert flow[:, Purpose.TENANT_FEE, Account.PLATFORM] == pytest.approx(after["fee_income"])
        assert -flow[:, Purpose.PRIVACY_FINE, Account.PLATFORM] == pytest.approx(after["privacy_fine"])
        assert -flow[:, Purpose.COMPLIANCE_FINE, Account.SMES] == pytest.approx(after["sme_fine"].sum(1))
        assert -flow[:, Purpose.PREMIUM, Account.PLATFORM] == pytest.approx(after["premium"])
        assert -flow[:, Purpose.PREMIUM, Account.SMES] == pytest.approx(after["sme_premium"].sum(1))
        assert -flow[:, Purpose.REMITTANCE, Account.PLATFORM] == pytest.approx(after["remitted"])
        assert -flow[:, Purpose.PAYOUT, Account.PLATFORM] == pytest.approx(after["payouts"])
        assert flow[:, Purpose.PAYOUT, Account.SMES] == pytest.approx(after["sme_payout"].sum(1))
        assert -flow[:, Purpose.DEPOSIT_INTEREST, Account.TREASURY] == pytest.approx(after["deposit_interest"])


def test_deposits_are_what_investors_brought_less_what_they_took(books) -> None:
    for before, after in books:
        moved = after["deposits"] - before["deposits"]
        assert after["month_flow"][:, Purpose.DEPOSIT, Account.TREASURY] == pytest.approx(moved, abs=1e-9)
        assert -after["month_flow"][:, Purpose.DEPOSIT, Account.WORLD] == pytest.approx(moved, abs=1e-9)


def test_every_purpose_but_the_switched_off_occurs(books) -> None:
    # Fines, overdrafts and finished turns are rare, so some worlds start in debt, fine often and ask for little.
    fines = {"compliance_rate": 0.5, "privacy_incident": 1.0, "fine_share": 1.0, "pool_reference": 50.0}
    needs = {"need_pool": 50.0, "need_capital": 50.0, "need_stock": 0.05, "start_value": 1.0, "stage_months": 1.0}
    gates = {"gate_risk": 100.0, "gate_trust": 0.0, "gate_months": 1.0}
    harsh = opened(world(platform_cash=-500.0, **fines, **needs, **gates), SEEDS)
    flows = [after["month_flow"] for _, after in books]
    for month in range(12):
        harsh.step(keyed_efforts(SEEDS, month, harsh.num_agents))
        flows.append(harsh.states["month_flow"].copy())
    used = np.abs(np.concatenate(flows)).sum((0, 2)) > 0.0
    # Subsidies are a policy lever that is off by default.
    assert {name for name, p in zip(Purpose._fields, Purpose, strict=True) if not used[p]} == {"SUBSIDY"}


def test_a_subsidy_is_paid_by_the_world() -> None:
    engine = opened(world(subsidy_tools=0.5, tax_break_esg=0.5), SEEDS)
    engine.step(keyed_efforts(SEEDS, 0, engine.num_agents))
    assert (engine.states["month_flow"][:, Purpose.SUBSIDY, Account.SMES] > 0.0).all()


def test_every_purpose_has_a_class_and_every_slot_an_account() -> None:
    assert len(PURPOSE_CLASS) == NUM_PURPOSES == len(Purpose)
    assert {Purpose._fields[p] for p in LOSSES} == {"PREMIUM", "RETAINED_LOSS", "PRIVACY_FINE", "COMPLIANCE_FINE"}
    assert len(SmeSlot) == opened(world(), range(1)).states["sme_flow"].shape[2]


def test_the_phases_settle_every_purpose_and_every_slot_once() -> None:
    states = opened(world(), range(1)).states
    before = states.copy()
    states["month_flow"] = 1.0
    states["sme_flow"] = 1.0
    for phase in Phase:
        settle(states[0], phase)
    assert (states["balance"] - before["balance"] == NUM_PURPOSES).all()
    assert states["sme_cash"] - before["sme_cash"] == pytest.approx(float(len(SmeSlot)))
    assert not states["sme_flow"].any()
