"""Pages in work: what never comes back does not hold the window, and an outage does not fill the steps' queues."""

from producers.ledger import PATIENCE_SECONDS, Ledger, Working
from producers.window import FLOOR

WINDOW = 8


def job(name: str, released: int, settled: int = 0, *, ended: bool = False) -> Working:
    return Working(name, 1, "demo", {"interactive": 0, "bulk": released}, released, settled, ended)


def in_work(ledger: Ledger) -> int:
    return sum(ledger.held.values())


def test_pages_of_which_nothing_comes_back_while_many_pass_them_by_are_in_work_no_more() -> None:
    ledger, lost, seconds = Ledger(), job("lost", 6), 0.0
    ledger.take([lost], seconds, WINDOW)
    assert in_work(ledger) == 6
    for number in range(200):
        seconds += 1
        ledger.take([lost, job(f"j{number}", 2)], seconds, WINDOW)
        ledger.take([lost, job(f"j{number}", 2, 2, ended=True)], seconds, WINDOW)
    assert in_work(ledger) == 0
    ledger.take([job("lost", 6, 1)], seconds + 1, WINDOW)
    assert in_work(ledger) == 5, "it was slow, and not lost"


def test_slow_pages_that_nobody_passes_by_stay_in_work() -> None:
    ledger, slow = Ledger(), job("slow", 6)
    for number in range(100):
        ledger.take([slow], number * PATIENCE_SECONDS, WINDOW)
    assert in_work(ledger) == 6


def test_a_window_full_of_lost_pages_is_found_out() -> None:
    ledger, lost, seconds, done = Ledger(), job("lost", WINDOW), 0.0, 0
    while in_work(ledger) or not done:
        seconds += 1.0
        room = WINDOW + ledger.extra - in_work(ledger)
        new = [job(f"j{seconds}", room)] if room > 0 else []
        ledger.take([lost, *new], seconds, WINDOW)
        ledger.take([lost, *(job(one.job, room, room, ended=True) for one in new)], seconds, WINDOW)
        done += ledger.settled
        assert seconds < 3 * PATIENCE_SECONDS
    ledger.take([lost], seconds + 1, WINDOW)
    assert ledger.extra == 0


def test_an_outage_adds_a_few_pages_a_minute_and_never_more_than_the_window_once_more() -> None:
    ledger, released, seconds = Ledger(), WINDOW, 0.0
    for _ in range(3600):
        seconds += 1
        ledger.take([job("a", released)], seconds, WINDOW)
        released = max(released, WINDOW + ledger.extra)
        assert released <= WINDOW + FLOOR * (1 + seconds // PATIENCE_SECONDS)
    assert released == 2 * WINDOW
    ledger.take([job("a", released, 1)], seconds, WINDOW)
    assert ledger.extra == 0
