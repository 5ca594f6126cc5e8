# SPDX-License-Identifier: BSD-2-Clause
"""docs/kernels.md: what tallygate uses of a kernel, and where it was seen to be.

The page is made of what `tallygated probe` said. A kernel that was not probed this time keeps its
column, so that a run on one machine takes nothing from what was seen on another.
"""
import dataclasses

from kernel_test.package import version_of

NOT_TESTED = "5.15"  # the lowest that the programs are compiled for
HEAD = f"""# Kernels

What tallygate uses of a kernel, the first Linux that has it, what stands in for it below, and on
which kernels it was seen. Nothing is decided by a version number: the daemon tries, and
`tallygated probe` says what it would find. The programs are compiled for Linux {NOT_TESTED} and
later.

`scripts/kernel-test --write-page` makes this page from what `probe` said on this machine and on
the kernel of Debian 12, which it boots.

"""
TAIL = """
"works" is the thing itself, "instead" what stands in for it. In the column of a kernel that was
not booted stands "not tested", whatever its version promises.
"""


@dataclasses.dataclass
class Feature:
    what: str
    since: str
    stand_in: str
    seen: dict  # by the kernel's version


def version_key(version):
    return [int(part) for part in version.split(".")]


class Page:
    def __init__(self, features):
        self.features = features  # by name, in the order of the probe

    @classmethod
    def read(cls, file):
        """An empty page if there is no file."""
        page = cls({})
        text = file.read_text() if file.exists() else ""
        rows = [[cell.strip() for cell in line.strip("|").split("|")]
                for line in text.splitlines() if line.startswith("|")]
        for what, since, stand_in, *cells in rows[2:]:
            seen = dict(zip(rows[0][3:], cells))
            seen.pop(NOT_TESTED, None)
            page.features[what] = Feature(what, since, stand_in, seen)
        return page

    def versions(self):
        return {version for feature in self.features.values() for version in feature.seen}

    def take(self, probe):
        """What a probe said replaces what was seen on that version before."""
        lines = {line["what"]: line for line in probe["lines"]}
        version = version_of(lines["kernel"]["detail"])
        kept = {what: feature.seen for what, feature in self.features.items()}
        self.features = {}
        for what, line in lines.items():
            if not line["since"]:
                continue
            seen = {**kept.get(what, {}), version: seen_word(line)}
            self.features[what] = Feature(what, line["since"], line["stand_in"] or "nothing", seen)

    def text(self):
        versions = sorted(self.versions() | {NOT_TESTED}, key=version_key)
        rows = [["feature", "since", "below it", *versions]]
        rows.append(["---"] * len(rows[0]))
        for feature in self.features.values():
            rows.append([feature.what, feature.since, feature.stand_in,
                         *(feature.seen.get(version, "not tested") for version in versions)])
        return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows) + TAIL


def seen_word(line):
    if line["here"]:
        return "works"
    return "fails" if line["finding"] == "fail" else "instead"
