# SPDX-License-Identifier: MIT
"""Power cuts and bad flash: journal and configuration on a real littlefs lose nothing that was reported durable."""

import re
import subprocess

import pytest

from tests.firmware.kit import run_on_micropython


def run_script(seed: int, mode: str, first: int, last: int, step: int = 1) -> tuple[subprocess.CompletedProcess, str]:
    return run_on_micropython("flash_power_cuts.py", seed, mode, first, last, step)


def counts(done: subprocess.CompletedProcess) -> dict[str, int]:
    return {name: int(value) for name, value in re.findall(r"(\w+) (\d+)", done.stdout.splitlines()[-1])}


HOUR, RING = 8, 12  # of each so many writes, one is cut in every run: which one is the seed's; a soak cuts them all


def check_cuts(mode: str, seed: int, first: int, step: int, least: int) -> None:
    done, report = run_script(seed, mode, first, 100000, step)
    assert done.returncode == 0, report
    seen = counts(done)
    assert seen["cuts"] == seen["runs"] > least, report


def test_power_cut_at_writes_of_a_scripted_hour_loses_nothing_durable(seed):
    """One of the hour's writes is the last one, torn: every eighth, over all that an hour does."""
    check_cuts("every", seed, 1 + seed % HOUR, HOUR, 125)


def test_power_cuts_at_random_writes_lose_nothing_durable(seed):
    done, report = run_script(seed, "random", 1, 200, 10)
    assert done.returncode == 0, report
    seen = counts(done)
    assert seen["cuts"] >= seen["runs"] == 20, report
    assert seen["again"] > 1, report


def test_power_cut_while_a_full_ring_wraps_loses_nothing_uncounted(seed):
    """The oldest segment goes for a new one: what nobody had read is counted, whenever the power goes."""
    check_cuts("ring", seed, 1 + seed % RING, RING, 30)


def test_wrapped_ring_counts_unread_records_as_lost(seed):
    done, report = run_script(seed, "wrap", 96, 9000)
    assert done.returncode == 0, report
    seen = counts(done)
    assert seen["oldest"] > 1000, report
    # What was acknowledged went uncounted; of the rest, before and after, exactly what is gone was counted.
    assert seen["lost"] == seen["gone"] + max(0, seen["oldest"] - 1 - seen["acked"]), report
    assert seen["lost"] > 500, report


def test_planted_write_in_place_is_found(seed):
    done, report = run_script(seed, "planted", 1050, 100000, 1)  # the first change of the configuration is not far
    assert done.returncode != 0, report
    assert "configuration" in done.stderr or "configuration" in done.stdout, report


@pytest.mark.soak
def test_power_cut_at_every_write_of_a_scripted_hour_loses_nothing_durable(seed):
    check_cuts("every", seed, 1, 1, 1000)


@pytest.mark.soak
def test_power_cut_at_every_write_while_a_full_ring_wraps_loses_nothing_uncounted(seed):
    check_cuts("ring", seed, 1, 1, 400)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(10))
def test_ten_thousand_power_cuts_lose_nothing_durable(part, seed):
    """10,000 runs, each cut at a random write of a long random history; a quarter of them again, soon after the restart."""
    done, report = run_script(seed, "random", 1, 5000, 5)
    assert done.returncode == 0, report
    seen = counts(done)
    assert seen["cuts"] >= seen["runs"] == 1000, report
    assert seen["again"] > 150, report


FAULTS = ("bits", "unstable", "nothing", "half", "stuck", "dead")


def check_fault(fault: str, seed: int, first: int, runs: int) -> None:
    done, report = run_script(seed, fault, first, first + runs - 1)
    assert done.returncode == 0, report
    seen = counts(done)
    assert seen["runs"] == runs, report
    assert seen["cuts"] > runs * 1.4, report


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_flash_and_power_cuts_lose_nothing_durable(fault, seed):
    """Some 140 cuts each: torn or unstable bits, a program that does nothing, half an erase, a stuck bit, a dead block."""
    check_fault(fault, seed, 1, 80)


@pytest.mark.parametrize(("seed", "run"), [(84482031, 469), (708116473, 1611), (73837800, 3343), (540223164, 5241)])
def test_bit_that_went_bad_in_a_signature_or_behind_the_end_costs_no_other_record(seed, run):
    """In the first it lies far behind the newest record, in the others in the signature of a block of records."""
    done, report = run_script(seed, "stuck", run, run)
    assert done.returncode == 0, report


@pytest.mark.soak
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("fault", FAULTS)
def test_bad_flash_and_ten_thousand_power_cuts_lose_nothing_durable(fault, part, seed):
    check_fault(fault, seed, 1 + 1600 * part, 1600)
