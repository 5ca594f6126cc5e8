# SPDX-License-Identifier: BSD-2-Clause
"""Whoever dies, and whenever: counts are right afterwards, and nothing has to be reset."""
import os
import signal

from harakas import HarakaTest

SESSIONS = 100


class HarakaCrashes(HarakaTest):
    def open_hundred(self):
        """From ten addresses."""
        made = []
        for last in range(1, 11):
            made += self.sessions(f"192.0.2.{last}", SESSIONS // 10)
        self.assert_live(SESSIONS)
        self.assert_live(SESSIONS // 10, "192.0.2.3/32")
        return made

    def test_haraka_is_killed(self):
        self.start_both()
        self.open_hundred()
        self.haraka.stop(signal.SIGKILL)
        self.assert_live(0)
        self.close_all()
        self.haraka.start()
        kept = self.sessions("192.0.2.3", 3)
        self.assert_live(3, "192.0.2.3/32")
        kept[0].close()
        self.assert_live(2)

    def test_a_worker_is_killed(self):
        self.start_both(nodes=2)
        self.open_hundred()
        victim = self.haraka.workers()[0]
        os.kill(victim, signal.SIGKILL)
        # Its sessions' clients see their end; the other worker's go on.
        alive = 0
        for session in self.open:
            alive += session.say("NOOP")[0] == 250
        self.assertLess(alive, SESSIONS)
        self.assertGreater(alive, 0)
        self.assert_live(alive)
        self.close_all()
        self.assert_live(0)
        self.sessions("192.0.2.4", 5)
        self.assert_live(5)

    def test_tallygate_is_killed(self):
        self.start_both("[concurrency]\nmax=10\ndisconnect_delay=0\n")
        made = self.open_hundred()
        self.gate.stop(signal.SIGKILL)
        for session in made[:30]:  # three from each of ten addresses
            self.assertEqual(session.say("QUIT")[0], 221)
        self.sessions("192.0.2.3", 5)  # nobody counts, and nobody is refused
        self.gate.start()
        self.assert_live(75)
        for session in made[30:]:
            session.close()
        self.assert_live(5)
        self.sessions("192.0.2.3", 5)
        self.assertEqual(self.session("192.0.2.3").greeting[0], 421)

    def test_tallygate_is_restarted_again_and_again(self):
        self.start_both()
        self.open_hundred()
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
            self.gate.stop(number)
            self.gate.start()
            self.assert_live(SESSIONS)
        self.close_all()
        self.assert_live(0)

    def test_all_are_killed(self):
        self.start_both()
        self.open_hundred()
        self.haraka.stop(signal.SIGKILL)
        self.gate.stop(signal.SIGKILL)
        self.close_all()
        self.haraka.start()
        self.sessions("192.0.2.3", 7)
        self.gate.start()
        self.assert_live(7)

    def test_tallygate_stands_still_for_a_while(self):
        self.start_both("[concurrency]\nmax=3\ndisconnect_delay=0\n")
        self.sessions("192.0.2.3", 3)
        os.kill(self.gate.process.child.pid, signal.SIGSTOP)
        try:
            kept = self.sessions("192.0.2.3", 5)
        finally:
            os.kill(self.gate.process.child.pid, signal.SIGCONT)
        self.assert_live(8)
        for session in kept:
            session.close()
        self.assert_live(3)
        self.assertEqual(self.session("192.0.2.3").greeting[0], 421)

    def test_rates_outlive_the_daemon(self):
        self.start_both("tarpit_delay=0\n[rate_conn]\nenabled=true\ndefault=3/1h\n")
        self.sessions("192.0.2.3", 3)
        self.gate.stop()
        self.gate.start()
        self.assert_live(3)
        self.assertEqual(self.session("192.0.2.3").greeting,
                         (421, "connection rate limit exceeded"))
