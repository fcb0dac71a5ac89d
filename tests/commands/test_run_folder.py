"""The folder between a supervisor and the processes that it governs."""

import threading
from collections import Counter

from iron_adapters.run_folder import Report, RunFolder, RunSettings


def test_whoever_reads_while_it_is_written_reads_something_whole():
    folder = RunFolder.create(RunSettings(policy={}))
    name, over = folder.new_report(), threading.Event()

    def write():
        for number in range(2000):
            kinds = {f"KIND_{digit}": number for digit in range(number % 40)}
            folder.publish(name, Report(calls=number, findings=Counter(kinds)))
        over.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = [folder.total()]
    while not over.is_set():
        seen.append(folder.total())
    writer.join()
    seen.append(folder.total())
    folder.remove()

    assert [report.calls for report in seen] == sorted(report.calls for report in seen)
    assert all(set(report.findings.values()) <= {report.calls} for report in seen)
    assert (seen[-1].calls, seen[-1].processes) == (1999, 1)


def test_reports_of_several_processes_add_up_and_one_of_them_owns_the_budget():
    folder = RunFolder.create(
        RunSettings(policy={"mode": "monitor"}, budget_usd="1.5", agent="a", leashed=True)
    )
    names = [folder.new_report(), folder.new_report()]
    for name in names:
        folder.publish(name, Report(calls=2, cost_nanodollars=Counter(reported=5), calling_processes=1))

    total = folder.total()

    assert (total.processes, total.calling_processes, total.calls) == (2, 2, 4)
    assert total.cost_nanodollars == {"reported": 10}
    assert [folder.own_budget(name) for name in (*names, names[0])] == [True, False, True]
    assert folder.settings() == RunSettings(
        policy={"mode": "monitor"}, budget_usd="1.5", agent="a", leashed=True
    )
    folder.stop()
    assert not folder.goes_on()
    folder.remove()
