# SPDX-License-Identifier: BSD-2-Clause
"""What a limit costs a mail server: the same Haraka without limits, with haraka-plugin-tallygate,
and with haraka-plugin-limit and a Redis of its own, at the same sessions a second.

Both plugins have the same limit.ini: connections at a time and a rate of connections, looked up for
each connection and never reached.
"""
import contextlib
import dataclasses
import os
import pathlib

from bench_lib import programs, report, road
from lab import npm, servers
from lab.gate import Gate
from lab.haraka import Haraka
from lab.machine import LabError, run

RATE = 1000
CONNECTIONS = 4000
WARMUP_SECONDS = 2
# Before the rounds, so that V8 has compiled what it will compile, and no queue is left of that.
PRACTICE_CONNECTIONS = 20
PRACTICE_RUNS = 4  # as long as so many runs
LIMITS = """
tarpit_delay=0
[redis]
host=127.0.0.1
port=6379
[concurrency]
enabled=true
max=100000
[rate_conn]
enabled=true
default=100000/1m
"""
REDIS = "redis-server"


@dataclasses.dataclass
class Variant:
    key: str
    name: str
    plugins: tuple
    port: int
    practice: dict = None
    results: list = dataclasses.field(default_factory=list)
    haraka: Haraka = None


def variants():
    return [Variant("none", "no limit", ("accept",), 2501),
            Variant("tallygate", "haraka-plugin-tallygate", ("tallygate", "accept"), 2502),
            Variant("redis", "haraka-plugin-limit, Redis", ("redis", "limit", "accept"), 2503)]


@contextlib.contextmanager
def standing(bench, way, chosen):
    """tallygate, Redis and a Haraka for each variant; idle ones cost nothing."""
    with contextlib.ExitStack() as stack:
        directory = bench.work_dir / "haraka"
        directory.mkdir()
        bench.pins.mkdir(exist_ok=True)
        gate = Gate(way.server, directory, bench.pins / "haraka", bench.record)
        stack.callback(gate.detach, check=False)
        stack.callback(gate.stop)
        gate.write_config([], guards=f"ports = {[each.port for each in chosen]}",
                          more=f'\n[sessions]\nsocket = "{directory}/sessions.sock"\n')
        gate.start()
        start_redis(bench, way, directory, stack)
        for each in chosen:
            home = directory / each.key
            home.mkdir()
            each.haraka = Haraka(way.server, home, bench.record, [road.SERVER], each.port)
            stack.callback(each.haraka.stop)
            each.haraka.configure(
                plugins=each.plugins, limit_ini=LIMITS, loglevel="WARN\n",
                redis_ini="[server]\nhost=127.0.0.1\nport=6379\n",
                tallygate_ini=f"socket={directory}/sessions.sock\n")
            each.haraka.start()
            put_ahead(each.haraka.process.child.pid, programs.cpus()[0])
        put_ahead(gate.process.child.pid, programs.cpus()[1])
        yield


def put_ahead(pid, cpus):
    """Haraka has a CPU for itself; clients, Redis and tallygate share the other."""
    run("taskset", "-a", "-c", "-p", cpus, pid)
    for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
        os.setpriority(os.PRIO_PROCESS, int(thread.name), -20)


def start_redis(bench, way, directory, stack):
    home = servers.Home(way.server, servers.unpack(REDIS), directory, bench.record, bench.log,
                        fresh=["/var/lib/redis"], users=["redis"])
    stack.callback(home.stop)
    home.run(*programs.on_cpus(programs.cpus()[1], REDIS), "--daemonize", "yes", "--save", "",
             "--appendonly", "no", "--bind", "127.0.0.1", "--dir", "/var/lib/redis")


def measure_if_possible(bench):
    """Without npm or the packages' archive there is nothing to compare with."""
    try:
        npm.modules()
        servers.unpack(REDIS)
    except servers.Unavailable as reason:
        return {"rate": RATE, "rows": [], "void": str(reason)}
    return measure(bench)


def measure(bench):
    way = bench.new_road("haraka")
    chosen = variants()
    with standing(bench, way, chosen):
        for each in chosen:
            bench.say(f"haraka: {each.name} practises")
            each.practice = run_clients(bench, way, each, "--connections", PRACTICE_CONNECTIONS,
                                        "--seconds", PRACTICE_RUNS * bench.seconds)
        for number in range(bench.rounds):
            bench.say(f"haraka: round {number + 1} of {bench.rounds}")
            for each in chosen:
                each.results.append(run_clients(
                    bench, way, each, "--connections", CONNECTIONS, "--rate", RATE, "--warmup",
                    WARMUP_SECONDS, "--seconds", bench.seconds))
    return to_json(chosen)


def run_clients(bench, way, variant, *options):
    client = programs.Helper(way.world, [
        "mail_client", "--server", f"{road.SERVER}:{variant.port}", "--first",
        road.CLIENTS_FIRST, "--sources", road.CLIENTS_COUNT, *options], bench)
    result = client.finish()
    if not result["completed"]:
        raise LabError(f"{variant.name} greeted nobody: {variant.haraka.process.last_words()}")
    return result


def to_json(chosen):
    def of(variant, field):
        return report.median([result[field] for result in variant.results])

    def added(variant, field):
        """Of the same round, so that what the machine does besides is in both."""
        pairs = zip(variant.results, chosen[0].results)
        return report.median([mine[field] - plain[field] for mine, plain in pairs])

    def rate(result):
        return result["completed"] / result["seconds"]

    return {"rate": RATE, "rows": [
        {"key": each.key, "name": each.name,
         "practice_sessions_per_second": rate(each.practice),
         "sessions_per_second": report.median([rate(result) for result in each.results]),
         "failed": sum(result["failed"] for result in each.results),
         "median_us": of(each, "banner_median_us"), "p99_us": of(each, "banner_p99_us"),
         "added_median_us": added(each, "banner_median_us"),
         "added_p99_us": added(each, "banner_p99_us"),
         "runs": each.results} for each in chosen]}


def to_text(part):
    rows = [[row["name"], f"{row['practice_sessions_per_second']:.0f}",
             f"{row['sessions_per_second']:.0f}", row["failed"],
             f"{row['median_us'] / 1000:.2f}", f"{row['p99_us'] / 1000:.2f}",
             f"{row['added_median_us'] / 1000:+.2f}" if row["key"] != "none" else "-",
             f"{row['added_p99_us'] / 1000:+.2f}" if row["key"] != "none" else "-"]
            for row in part["rows"]]
    head = (f"**Haraka, one process, {part['rate']} sessions a second**: milliseconds until the "
            f"greeting. `can do`: {PRACTICE_CONNECTIONS} clients in a closed loop")
    if not rows:
        return f"{head}: void, {part['void']}"
    columns = ["limits", "can do", "sessions/s", "failed", "median", "99 %", "median added",
               "99 % added"]
    return head + "\n\n" + report.table(columns, rows)
