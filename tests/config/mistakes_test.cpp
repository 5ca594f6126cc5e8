// SPDX-License-Identifier: BSD-2-Clause
//
// Every mistake is one line: file, line, column, what is wrong, what was expected.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "config/config_toml.hpp"
#include "config/texts.hpp"

namespace tallygate::test {
namespace {

struct Row {
    const char *name;
    std::string text;
    const char *expected;
};

void expect_mistakes(const Row &row)
{
    SCOPED_TRACE(row.name);
    const auto parsed = config::parse_config(row.text, "t.toml");

    ASSERT_FALSE(parsed) << row.text;
    EXPECT_EQ(parsed.error().message, row.expected) << row.text;
}

std::string repeated(const std::string &text, std::size_t count)
{
    std::string result;
    for (std::size_t i = 0; i < count; i++)
        result += text;
    return result;
}

/// So many blocks of one address.
std::string blocks(std::size_t count)
{
    std::string list;
    for (std::size_t i = 0; i < count; i++)
        list += (i == 0 ? "\"2001:db8::" : ", \"2001:db8::") + std::to_string(i) + "\"";
    return list;
}

// clang-format off
const Row file_rows[] = {
    {"nothing at all", "",
     "t.toml:1:1: gate.interfaces is missing: "
         "expected at least one interface such as [\"eth0\"]\n"
     "t.toml:1:1: no service is named: expected at least one [[service]]"},
    {"no service", gate,
     "t.toml:1:1: no service is named: expected at least one [[service]]"},
    {"a value left out", in_gate("attach ="),
     "t.toml:3:9: not valid TOML: Error while parsing key-value pair: "
         "expected value, saw '\\n'"},
    {"a bracket left open", "[gate\n",
     "t.toml:1:6: not valid TOML: Error while parsing table header: expected ']', saw '\\n'"},
    {"three brackets", "[[[gate]]]",
     "t.toml:1:3: not valid TOML: Error while parsing key: "
     "expected bare key starting character or string delimiter, saw '['"},
    {"a key given twice", in_gate("strict = true\nstrict = true"),
     "t.toml:4:10: not valid TOML: Error while parsing key-value pair: "
         "cannot redefine existing boolean 'strict'"},
    {"a comment that is no UTF-8", in_gate("# \xff"),
     "t.toml:3:2: not valid TOML: Encountered invalid utf-8 sequence"},
    {"a binary file", std::string("\x7f" "ELF\n\0\0", 7),
     "t.toml:2:1: the file is binary: expected TOML"},
    {"a key of more than a hundred dots", "a" + repeated(".a", 101) + " = 1",
     "t.toml:1:202: more than 100 dots outside quotes: expected [SECTION] or KEY = VALUE"},
    {"a value beyond ASCII", "# é\n[gate]\npin_dir = ü",
     "t.toml:3:11: a character beyond ASCII: expected it in a text between double quotes"},
    {"a path beyond ASCII between single quotes", in_gate("pin_dir = '/ü'"),
     "t.toml:3:13: a character beyond ASCII: expected it in a text between double quotes"},
    {"a character beyond ASCII behind a backslash", in_gate("pin_dir = \"/\\ü\""),
     "t.toml:3:14: a character beyond ASCII: expected it in a text between double quotes"},
    {"a path that is no UTF-8", in_gate("pin_dir = \"/ü\xff\""),
     "t.toml:3:14: a byte that is no UTF-8, or no character for a text"},
    {"a control character beyond ASCII", in_gate("pin_dir = \"/ü\xc2\x9b\""),
     "t.toml:3:14: a byte that is no UTF-8, or no character for a text"},
    {"a character beyond ASCII within a broken number", in_gate("flows_max = 0[\"é"),
     "t.toml:3:14: not valid TOML: Error while parsing floating-point: "
         "expected decimal digit, saw '['"},
    {"a mistake between characters beyond ASCII",
     "[gate]\ninterfaces = [\"é\", \"日\", \"😀\", \"a/ü\", \"ö\"]\n" + service,
     "t.toml:2:30: gate.interfaces has \"a/ü\": expected an interface's name, "
         "1 to 15 bytes without blanks, slashes and colons"},
    {"no TOML behind characters beyond ASCII", in_gate("lease = \"日日\" \"1s\""),
     "t.toml:3:14: not valid TOML: Error while parsing key-value pair: "
         "expected a comment or whitespace, saw '\"'"},
    {"a key beyond ASCII", after("[state]\n\"größe\" = 1"),
     "t.toml:7:1: state.\"größe\" is no setting: expected one of dir, remember_proven"},
    {"a string on several lines", in_gate("pin_dir = \"\"\"\n/é\\\n ü\"\"\""),
     "t.toml:3:12: a string on several lines: expected it on one"},
    {"a literal string on several lines", in_gate("pin_dir = '''/a'''"),
     "t.toml:3:12: a string on several lines: expected it on one"},
    {"a string that does not end", in_gate("pin_dir = \"/a"),
     "t.toml:3:14: not valid TOML: Error while parsing string: unescaped control characters "
     "other than TAB (U+0009) are explicitly prohibited"},
    {"a string that does not end, and escapes its end", in_gate("pin_dir = \"/a\\"),
     "t.toml:3:15: not valid TOML: Error while parsing string: unknown escape sequence '\\\\n'"},
    {"arrays within arrays", "a = [[[[[[[[1]]]]]]]]",
     "t.toml:1:13: not valid TOML: Error while parsing value: "
         "exceeded maximum nested value depth of 8 (TOML_MAX_NESTED_VALUES)"},
};

const Row section_rows[] = {
    {"a section that nobody knows", after("[colour]"),
     "t.toml:6:2: colour is no section: expected one of "
         "[gate], [reconcile], [state], [control], [[service]], [windows], [[network]], "
         "[[limit]], [lists], [[block]], [[allow]], [[check]], [http], [ask], [line], "
         "[anvil], [policy], [sessions]"},
    {"a misspelt section", after("[contrl]"),
     "t.toml:6:2: contrl is no section: did you mean control?"},
    {"a key outside all sections", "mode = \"observe\"\n" + after(""),
     "t.toml:1:1: mode is no section: expected one of "
         "[gate], [reconcile], [state], [control], [[service]], [windows], [[network]], "
         "[[limit]], [lists], [[block]], [[allow]], [[check]], [http], [ask], [line], "
         "[anvil], [policy], [sessions]"},
    {"one table where there may be many", gate + "[service]\nname = \"smtp\"",
     "t.toml:3:1: service is a table: expected [[service]]"},
    {"many tables where there is one", after("[[windows]]"),
     "t.toml:6:1: windows is an array: expected [windows]"},
    {"a value instead of a section", "gate = 5\n" + service,
     "t.toml:1:8: gate is 5: expected [gate]"},
    {"a list of no services", "service = []\n" + gate,
     "t.toml:1:11: service is empty: expected [[service]]"},
    {"a list of something else", "service = [25]\n" + gate,
     "t.toml:1:12: service has 25: expected [[service]]"},
    {"one limit where there may be many", after("[limit]\nname = \"per-source\""),
     "t.toml:6:1: limit is a table: expected [[limit]]"},
    {"one block where there may be many", after("[block]\ncidrs = [\"192.0.2.0/24\"]"),
     "t.toml:6:1: block is a table: expected [[block]]"},
    {"many tables of lists", after("[[lists]]"),
     "t.toml:6:1: lists is an array: expected [lists]"},
    {"a count from nowhere", after("[sessions]\ncount_from = \"kernel\""),
     "t.toml:7:14: sessions.count_from is \"kernel\": expected sessions or gate"},
    {"a service that there is not", after("[sessions]\nservices = [\"smpt\"]"),
     "t.toml:7:13: sessions.services has \"smpt\", which no [[service]] is called: did you mean "
     "smtp?"},
};

const Row key_rows[] = {
    {"a relative path for the line's socket", after("[line]\nsocket = \"line.sock\""),
     "t.toml:7:10: line.socket is \"line.sock\": expected an absolute path of at most 107 bytes"},
    {"one socket for two", after("[line]\nsocket = \"/run/a\"\n[policy]\nsocket = \"/run/a\""),
     "t.toml:9:10: policy.socket is the path of line.socket: expected one of its own"},
    {"one socket for two, spelled in another way",
     after("[ask]\nsocket = \"/run/a\"\n[sessions]\nsocket = \"//run/./b/../a\""),
     "t.toml:9:10: sessions.socket is the path of ask.socket: expected one of its own"},
    {"the control socket for another", after("[anvil]\nsocket = \"/run/tallygate/control.sock\""),
     "t.toml:7:10: anvil.socket is the path of control.socket: expected one of its own"},
    {"a mode that is a number", after("[line]\nsocket_mode = 660"),
     "t.toml:7:15: line.socket_mode is 660: expected a mode in quotes such as \"0660\", of reading "
     "and writing alone"},
    {"a mode that lets execute", after("[line]\nsocket_mode = \"0777\""),
     "t.toml:7:15: line.socket_mode is \"0777\": expected a mode in quotes such as \"0660\", of "
     "reading and writing alone"},
    {"a time unit with a unit", after("[anvil]\ntime_unit = \"60s\""),
     "t.toml:7:13: anvil.time_unit is \"60s\": expected a number of seconds from 1 to 86400"},
    {"a time unit of nothing", after("[anvil]\ntime_unit = 0"),
     "t.toml:7:13: anvil.time_unit is 0: expected a number of seconds from 1 to 86400"},
    {"an unknown way to count", after("[anvil]\ncount_from = \"kernel\""),
     "t.toml:7:14: anvil.count_from is \"kernel\": expected reported or gate"},
    {"a misspelt key", in_gate("atach = \"auto\""),
     "t.toml:3:1: gate.atach is no setting: did you mean attach?"},
    {"a key that nobody knows", after("[state]\ncolour = \"red\""),
     "t.toml:7:1: state.colour is no setting: expected one of dir, remember_proven"},
    {"a key with a line break", after("[state]\n\"di\\nr\" = 1"),
     "t.toml:7:1: state.\"di\\u000Ar\" is no setting: did you mean dir?"},
    {"a key of another section", after("[http]\nsocket = \"/run/http\""),
     "t.toml:7:1: http.socket is no setting: expected one of listen"},
    {"a section within a section", after("[control.socket]"),
     "t.toml:6:1: control.socket is a table: expected an absolute path of at most 107 bytes"},
};

const Row gate_rows[] = {
    {"no interfaces", "[gate]\n" + service,
     "t.toml:1:1: gate.interfaces is missing: "
         "expected at least one interface such as [\"eth0\"]"},
    {"an empty list of interfaces", "[gate]\ninterfaces = []\n" + service,
     "t.toml:2:14: gate.interfaces is empty: expected at least one element, an interface's name, "
         "1 to 15 bytes without blanks, slashes and colons"},
    {"an interface on both sides", in_gate("inside = [\"eth1\", \"eth0\"]"),
     "t.toml:3:19: gate.inside has \"eth0\": line 2 has it already, "
         "expected it once in the file"},
    {"an inner interface twice", in_gate("inside = [\"eth1\",\n\"eth1\"]"),
     "t.toml:4:1: gate.inside has \"eth1\": line 3 has it already, "
         "expected it once in the file"},
    {"an inner interface's name with a slash", in_gate("inside = [\"a/b\"]"),
     "t.toml:3:11: gate.inside has \"a/b\": expected an interface's name, "
         "1 to 15 bytes without blanks, slashes and colons"},
    {"nothing inside", in_gate("inside = []"),
     "t.toml:3:10: gate.inside is empty: expected at least one element, an interface's name, "
         "1 to 15 bytes without blanks, slashes and colons"},
    {"an inner side alone", "[gate]\ninside = [\"eth1\"]\n" + service,
     "t.toml:1:1: gate.interfaces is missing: "
         "expected at least one interface such as [\"eth0\"]"},
    {"a sender of tunnels by name", in_gate("tunnels_from = [\"balancer\"]"),
     "t.toml:3:17: gate.tunnels_from has \"balancer\": expected a CIDR block such as "
         "\"192.0.2.0/24\" or \"2001:db8::/32\""},
    {"a sender of tunnels twice", in_gate("tunnels_from = [\"192.0.2.1\", \"192.0.2.1/32\"]"),
     "t.toml:3:30: gate.tunnels_from has \"192.0.2.1/32\": line 3 has it already, "
         "expected it once in the file"},
    {"too many senders of tunnels", in_gate("tunnels_from = [" + blocks(1001) + "]"),
     "t.toml:3:16: gate.tunnels_from has too many CIDR blocks: expected at most 1000"},
    {"an interface outside a list", "[gate]\ninterfaces = \"eth0\"\n" + service,
     "t.toml:2:14: gate.interfaces is \"eth0\": expected an array, each element an interface's "
         "name, 1 to 15 bytes without blanks, slashes and colons"},
    {"an interface by its number", "[gate]\ninterfaces = [2]\n" + service,
     "t.toml:2:15: gate.interfaces has 2: expected an interface's name, "
         "1 to 15 bytes without blanks, slashes and colons"},
    {"an interface without a name", "[gate]\ninterfaces = [\"\"]\n" + service,
     "t.toml:2:15: gate.interfaces has \"\": expected an interface's name, "
         "1 to 15 bytes without blanks, slashes and colons"},
    {"an interface's name of 16 bytes", "[gate]\ninterfaces = [\"abcdefghijklmnop\"]\n" + service,
     "t.toml:2:15: gate.interfaces has \"abcdefghijklmnop\": expected an interface's name, "
         "1 to 15 bytes without blanks, slashes and colons"},
    {"an interface's name with a slash", "[gate]\ninterfaces = [\"../eth0\"]\n" + service,
     "t.toml:2:15: gate.interfaces has \"../eth0\": expected an interface's name, "
         "1 to 15 bytes without blanks, slashes and colons"},
    {"an interface's name with a blank", "[gate]\ninterfaces = [\"eth 0\"]\n" + service,
     "t.toml:2:15: gate.interfaces has \"eth 0\": expected an interface's name, "
         "1 to 15 bytes without blanks, slashes and colons"},
    {"an interface twice", "[gate]\ninterfaces = [\"eth0\",\n  \"eth0\"]\n" + service,
     "t.toml:3:3: gate.interfaces has \"eth0\": "
         "line 2 has it already, expected it once in the file"},
    {"an unknown way to attach", in_gate("attach = \"fast\""),
     "t.toml:3:10: gate.attach is \"fast\": expected auto, native, generic or tc"},
    {"attaching with a capital", in_gate("attach = \"Auto\""),
     "t.toml:3:10: gate.attach is \"Auto\": expected auto, native, generic or tc"},
    {"an unknown mode", in_gate("mode = \"drop\""),
     "t.toml:3:8: gate.mode is \"drop\": expected observe or enforce"},
    {"a mode of the wrong type", in_gate("mode = true"),
     "t.toml:3:8: gate.mode is true: expected observe or enforce"},
    {"strict in quotes", in_gate("strict = \"true\""),
     "t.toml:3:10: gate.strict is \"true\": expected true or false"},
    {"strict as a number", in_gate("strict = 1"),
     "t.toml:3:10: gate.strict is 1: expected true or false"},
    {"a reconcile without a unit", after("[reconcile]\ninterval = 30\n"),
     "t.toml:7:12: reconcile.interval is 30: "
         "expected a duration from \"1s\" to \"1h\", in s, m, h or d, or \"off\""},
    {"a reconcile that never is", after("[reconcile]\ninterval = \"never\"\n"),
     "t.toml:7:12: reconcile.interval is \"never\": "
         "expected a duration from \"1s\" to \"1h\", in s, m, h or d, or \"off\""},
    {"an idle time that is off", after("[reconcile]\nidle_open = \"off\"\n"),
     "t.toml:7:13: reconcile.idle_open is \"off\": "
         "expected a duration from \"1s\" to \"12h\", in s, m, h or d"},
    {"a lease without a unit", in_gate("lease = 60"),
     "t.toml:3:9: gate.lease is 60: expected a duration from \"1s\" to \"1d\", in s, m, h or d"},
    {"a lease without a unit in quotes", in_gate("lease = \"60\""),
     "t.toml:3:9: gate.lease is \"60\": "
         "expected a duration from \"1s\" to \"1d\", in s, m, h or d"},
    {"a lease of nothing", in_gate("lease = \"0s\""),
     "t.toml:3:9: gate.lease is \"0s\": "
         "expected a duration from \"1s\" to \"1d\", in s, m, h or d"},
    {"a negative lease", in_gate("lease = \"-5s\""),
     "t.toml:3:9: gate.lease is \"-5s\": "
         "expected a duration from \"1s\" to \"1d\", in s, m, h or d"},
    {"an empty lease", in_gate("lease = \"\""),
     "t.toml:3:9: gate.lease is \"\": "
         "expected a duration from \"1s\" to \"1d\", in s, m, h or d"},
    {"a lease that is a unit alone", in_gate("lease = \"s\""),
     "t.toml:3:9: gate.lease is \"s\": "
         "expected a duration from \"1s\" to \"1d\", in s, m, h or d"},
    {"a lease in an unknown unit", in_gate("lease = \"60ms\""),
     "t.toml:3:9: gate.lease is \"60ms\": "
         "expected a duration from \"1s\" to \"1d\", in s, m, h or d"},
    {"a lease of more than a day", in_gate("lease = \"25h\""),
     "t.toml:3:9: gate.lease is \"25h\": "
         "expected a duration from \"1s\" to \"1d\", in s, m, h or d"},
    {"a lease beyond all numbers", in_gate("lease = \"4294967296s\""),
     "t.toml:3:9: gate.lease is \"4294967296s\": "
         "expected a duration from \"1s\" to \"1d\", in s, m, h or d"},
    {"a relative directory of pins", in_gate("pin_dir = \"bpf\""),
     "t.toml:3:11: gate.pin_dir is \"bpf\": expected an absolute path of at most 4095 bytes"},
    {"a directory of pins with a zero byte", in_gate("pin_dir = \"/a\\u0000b\""),
     "t.toml:3:11: gate.pin_dir is \"/a\\u0000b\": "
         "expected an absolute path of at most 4095 bytes"},
    {"sources wider than a /64", in_gate("ipv6_source_bits = 63"),
     "t.toml:3:20: gate.ipv6_source_bits is 63: expected a number from 64 to 128"},
    {"sources narrower than a /128", in_gate("ipv6_source_bits = 129"),
     "t.toml:3:20: gate.ipv6_source_bits is 129: expected a number from 64 to 128"},
    {"a table of sources that is too small", in_gate("sources_max = 15"),
     "t.toml:3:15: gate.sources_max is 15: expected a number from 16 to 67108864"},
    {"a table of claims that is too large", in_gate("claims_max = 67108865"),
     "t.toml:3:14: gate.claims_max is 67108865: "
         "expected a power of two from 16 to 67108864"},
    {"claims that are no power of two", in_gate("claims_max = 1000000"),
     "t.toml:3:14: gate.claims_max is 1000000: expected a power of two from 16 to 67108864"},
    {"rates that are no power of two", in_gate("rates_max = 17"),
     "t.toml:3:13: gate.rates_max is 17: expected a power of two from 16 to 67108864"},
    {"no room for a list", in_gate("lists_max = 0"),
     "t.toml:3:13: gate.lists_max is 0: expected a number from 1 to 16777216"},
    {"a table of flows of negative size", in_gate("flows_max = -1"),
     "t.toml:3:13: gate.flows_max is -1: expected a number from 16 to 67108864"},
    {"a size with a fraction", in_gate("flows_max = 1e6"),
     "t.toml:3:13: gate.flows_max is a number with a fraction: "
         "expected a number from 16 to 67108864"},
    {"a size that is a date", in_gate("flows_max = 2020-02-02"),
     "t.toml:3:13: gate.flows_max is a date or time: expected a number from 16 to 67108864"},
    {"pending handshakes that are no power of two", in_gate("pending_max = 1000"),
     "t.toml:3:15: gate.pending_max is 1000: expected a power of two from 16 to 67108864"},
    {"no room for a network", in_gate("networks_max = 0"),
     "t.toml:3:16: gate.networks_max is 0: expected a number from 1 to 1048576"},
};

const Row place_rows[] = {
    {"a relative directory of state", after("[state]\ndir = \"state\""),
     "t.toml:7:7: state.dir is \"state\": expected an absolute path of at most 4095 bytes"},
    {"an empty directory of state", after("[state]\ndir = \"\""),
     "t.toml:7:7: state.dir is \"\": expected an absolute path of at most 4095 bytes"},
    {"remembering for ever", after("[state]\nremember_proven = \"2y\""),
     "t.toml:7:19: state.remember_proven is \"2y\": "
         "expected a duration from \"1m\" to \"365d\", in s, m, h or d, or \"off\""},
    {"a relative socket", after("[control]\nsocket = \"./control.sock\""),
     "t.toml:7:10: control.socket is \"./control.sock\": "
         "expected an absolute path of at most 107 bytes"},
    {"a socket longer than the kernel takes",
     after("[control]\nsocket = \"/" + std::string(107, 's') + "\""),
     "t.toml:7:10: control.socket is "
         "\"/sssssssssssssssssssssssssssssssssssssssssssssssssssssssssss...\": "
         "expected an absolute path of at most 107 bytes"},
    {"long text is cut between characters",
     after("[control]\nsocket = \"" + repeated("\\u00E9", 40) + "/x\""),
     "t.toml:7:10: control.socket is "
     "\"éééééééééééééééééééééééééééééé...\": "
         "expected an absolute path of at most 107 bytes"},
    {"long text is cut before a character it would split",
     after("[control]\nsocket = \"x" + repeated("\\u00E9", 40) + "\""),
     "t.toml:7:10: control.socket is "
     "\"xééééééééééééééééééééééééééééé...\": "
         "expected an absolute path of at most 107 bytes"},
    {"HTTP without a port", after("[http]\nlisten = \"127.0.0.1\""),
     "t.toml:7:10: http.listen is \"127.0.0.1\": "
         "expected an address and port such as \"192.0.2.1:25\" or \"[2001:db8::1]:25\""},
    {"HTTP by a port alone", after("[http]\nlisten = 9847"),
     "t.toml:7:10: http.listen is 9847: "
         "expected an address and port such as \"192.0.2.1:25\" or \"[2001:db8::1]:25\""},
};

const Row service_rows[] = {
    {"a service without a name", in_service("ports = [25]"),
     "t.toml:3:1: service.name is missing: expected 1 to 63 of a-z 0-9 - _ ."},
    {"a service with an empty name", in_service("name = \"\"\nports = [25]"),
     "t.toml:4:8: service.name is \"\": expected 1 to 63 of a-z 0-9 - _ ."},
    {"a service in capitals", in_service("name = \"SMTP\"\nports = [25]"),
     "t.toml:4:8: service.name is \"SMTP\": expected 1 to 63 of a-z 0-9 - _ ."},
    {"a service's name with a blank", in_service("name = \"s m\"\nports = [25]"),
     "t.toml:4:8: service.name is \"s m\": expected 1 to 63 of a-z 0-9 - _ ."},
    {"a service's name of 64 bytes",
     in_service("name = \"" + std::string(64, 'n') + "\"\nports = [25]"),
     "t.toml:4:8: service.name is "
         "\"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn...\": "
         "expected 1 to 63 of a-z 0-9 - _ ."},
    {"two services of one name", after("[[service]]\nname = \"smtp\"\nports = [26]"),
     "t.toml:7:8: service.name is \"smtp\": "
         "line 4 has it already, expected it once in the file"},
    {"a service that listens nowhere", in_service("name = \"smtp\""),
     "t.toml:3:1: service has neither ports nor listeners: expected one of them"},
    {"a service with ports and listeners",
     in_service("name = \"smtp\"\nports = [25]\nlisteners = [\"192.0.2.1:25\"]"),
     "t.toml:3:1: service has both ports and listeners: expected one of them"},
    {"no ports in the list", in_service("name = \"smtp\"\nports = []"),
     "t.toml:5:9: service.ports is empty: "
         "expected at least one element, a port from 1 to 65535"},
    {"port 0", in_service("name = \"smtp\"\nports = [0]"),
     "t.toml:5:10: service.ports has 0: expected a port from 1 to 65535"},
    {"a port beyond the last", in_service("name = \"smtp\"\nports = [25, 65536]"),
     "t.toml:5:14: service.ports has 65536: expected a port from 1 to 65535"},
    {"a port in quotes", in_service("name = \"smtp\"\nports = [\"25\"]"),
     "t.toml:5:10: service.ports has \"25\": expected a port from 1 to 65535"},
    {"a port outside a list", in_service("name = \"smtp\"\nports = 25"),
     "t.toml:5:9: service.ports is 25: "
         "expected an array, each element a port from 1 to 65535"},
    {"any port, which is for replay", in_service("name = \"smtp\"\nports = \"any\""),
     "t.toml:5:9: service.ports is \"any\", which is for replay alone: "
         "expected an array of ports such as [25]"},
    {"a port twice", in_service("name = \"smtp\"\nports = [25, 25]"),
     "t.toml:5:14: service.ports has 25: line 5 has it already, expected it once in the file"},
    {"a port of another service", after("[[service]]\nname = \"two\"\nports = [26, 25]"),
     "t.toml:8:14: service.ports has 25: line 5 has it already, expected it once in the file"},
    {"a listener without a port", in_service("name = \"smtp\"\nlisteners = [\"192.0.2.1\"]"),
     "t.toml:5:14: service.listeners has \"192.0.2.1\": expected an address and port such as "
         "\"192.0.2.1:25\" or \"[2001:db8::1]:25\" (ports is for all addresses)"},
    {"a listener on every address", in_service("name = \"smtp\"\nlisteners = [\"0.0.0.0:25\"]"),
     "t.toml:5:14: service.listeners has \"0.0.0.0:25\": expected an address and port such as "
         "\"192.0.2.1:25\" or \"[2001:db8::1]:25\" (ports is for all addresses)"},
    {"a listener on every IPv6 address", in_service("name = \"smtp\"\nlisteners = [\"[::]:25\"]"),
     "t.toml:5:14: service.listeners has \"[::]:25\": expected an address and port such as "
         "\"192.0.2.1:25\" or \"[2001:db8::1]:25\" (ports is for all addresses)"},
    {"a listener of another service, written in another way",
     in_service("name = \"smtp\"\nlisteners = [\"192.0.2.1:25\"]\n"
                "[[service]]\nname = \"two\"\nlisteners = [\"[::ffff:192.0.2.1]:25\"]"),
     "t.toml:8:14: service.listeners has \"[::ffff:192.0.2.1]:25\": "
         "line 5 has it already, expected it once in the file"},
};

const Row window_rows[] = {
    {"no monitors in the list", after("[windows]\nmonitors = []"),
     "t.toml:7:12: windows.monitors is empty: expected at least one element, "
         "SECONDS,WINDOWS such as \"60,10\", from 1,1 to 31622400,10000"},
    {"a monitor without a comma", after("[windows]\nmonitors = [\"60\"]"),
     "t.toml:7:13: windows.monitors has \"60\": expected "
         "SECONDS,WINDOWS such as \"60,10\", from 1,1 to 31622400,10000"},
    {"a monitor of no seconds", after("[windows]\nmonitors = [\"0,5\"]"),
     "t.toml:7:13: windows.monitors has \"0,5\": expected "
         "SECONDS,WINDOWS such as \"60,10\", from 1,1 to 31622400,10000"},
    {"a monitor of no windows", after("[windows]\nmonitors = [\"60,0\"]"),
     "t.toml:7:13: windows.monitors has \"60,0\": expected "
         "SECONDS,WINDOWS such as \"60,10\", from 1,1 to 31622400,10000"},
    {"a monitor of too many windows", after("[windows]\nmonitors = [\"60,100000\"]"),
     "t.toml:7:13: windows.monitors has \"60,100000\": expected "
         "SECONDS,WINDOWS such as \"60,10\", from 1,1 to 31622400,10000"},
    {"a monitor as numbers", after("[windows]\nmonitors = [60, 10]"),
     "t.toml:7:13: windows.monitors has 60: expected "
         "SECONDS,WINDOWS such as \"60,10\", from 1,1 to 31622400,10000\n"
     "t.toml:7:17: windows.monitors has 10: expected "
         "SECONDS,WINDOWS such as \"60,10\", from 1,1 to 31622400,10000"},
    {"a monitor twice", after("[windows]\nmonitors = [\"60,10\", \"900,4\", \"60,10\"]"),
     "t.toml:7:31: windows.monitors has \"60,10\": "
         "line 7 has it already, expected it once in the file"},
};

const Row network_rows[] = {
    {"a network without blocks", after("[[network]]\nname = \"big-sender\""),
     "t.toml:6:1: network.cidrs is missing: "
         "expected an array of CIDR blocks such as [\"192.0.2.0/24\"]"},
    {"a network without a name", after("[[network]]\ncidrs = [\"192.0.2.0/24\"]"),
     "t.toml:6:1: network.name is missing: expected 1 to 63 of a-z 0-9 - _ ."},
    {"two networks of one name", after("[[network]]\nname = \"a\"\ncidrs = [\"192.0.2.0/24\"]\n"
                                       "[[network]]\nname = \"a\"\ncidrs = [\"2001:db8::/32\"]"),
     "t.toml:10:8: network.name is \"a\": line 7 has it already, expected it once in the file"},
    {"a block that is none", after("[[network]]\nname = \"a\"\ncidrs = [\"example.com\"]"),
     "t.toml:8:10: network.cidrs has \"example.com\": "
         "expected a CIDR block such as \"192.0.2.0/24\" or \"2001:db8::/32\""},
    {"an IPv4 block of 33 bits", after("[[network]]\nname = \"a\"\ncidrs = [\"192.0.2.0/33\"]"),
     "t.toml:8:10: network.cidrs has \"192.0.2.0/33\": "
         "expected a CIDR block such as \"192.0.2.0/24\" or \"2001:db8::/32\""},
    {"a block twice", after("[[network]]\nname = \"a\"\ncidrs = [\"192.0.2.0/24\"]\n"
                            "[[network]]\nname = \"b\"\ncidrs = [\"192.0.2.9/24\"]"),
     "t.toml:11:10: network.cidrs has \"192.0.2.9/24\": "
         "line 8 has it already, expected it once in the file"},
    {"more blocks than there is room for",
     in_gate("networks_max = 1") + "[[network]]\nname = \"a\"\ncidrs = [\"192.0.2.0/24\"]\n"
     "[[network]]\nname = \"b\"\ncidrs = [\"2001:db8::/32\"]\n"
     "[[network]]\nname = \"c\"\ncidrs = [\"198.51.100.0/24\"]\n",
     "t.toml:12:9: network.cidrs makes more blocks than gate.networks_max: expected at most 1"},
};
// clang-format on

TEST(ConfigMistakes, InTheFile)
{
    for (const auto &row : file_rows)
        expect_mistakes(row);
}

TEST(ConfigMistakes, InSections)
{
    for (const auto &row : section_rows)
        expect_mistakes(row);
}

TEST(ConfigMistakes, InKeys)
{
    for (const auto &row : key_rows)
        expect_mistakes(row);
}

TEST(ConfigMistakes, InGate)
{
    for (const auto &row : gate_rows)
        expect_mistakes(row);
}

TEST(ConfigMistakes, InPathsAndListeners)
{
    for (const auto &row : place_rows)
        expect_mistakes(row);
}

TEST(ConfigMistakes, InServices)
{
    for (const auto &row : service_rows)
        expect_mistakes(row);
}

TEST(ConfigMistakes, InWindows)
{
    for (const auto &row : window_rows)
        expect_mistakes(row);
}

TEST(ConfigMistakes, InNetworks)
{
    for (const auto &row : network_rows)
        expect_mistakes(row);
}

TEST(ConfigMistakes, AreToldAllAtOnceInTheOrderOfTheFile)
{
    expect_mistakes({"five of them",
                     "[http]\nlisten = 1\n[gate]\ninterfaces = [\"eth0\", \"a b\"]\nmod = 1\n"
                     "mode = \"drop\"\n[policy]\nreport = 1\n" +
                         service,
                     "t.toml:2:10: http.listen is 1: expected an address and port such as "
                     "\"192.0.2.1:25\" or \"[2001:db8::1]:25\"\n"
                     "t.toml:4:23: gate.interfaces has \"a b\": expected an interface's name, "
                     "1 to 15 bytes without blanks, slashes and colons\n"
                     "t.toml:5:1: gate.mod is no setting: did you mean mode?\n"
                     "t.toml:6:8: gate.mode is \"drop\": expected observe or enforce\n"
                     "t.toml:8:10: policy.report is 1: expected true or false"});
}

TEST(ConfigMistakes, BeyondTwentyAreCounted)
{
    const auto parsed = config::parse_config(
        in_service("name = \"smtp\"\nports = [\n" + repeated("0,\n", 25) + "]"), "t.toml");

    ASSERT_FALSE(parsed);
    const std::string &message = parsed.error().message;
    EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 20);
    EXPECT_TRUE(message.ends_with("\nt.toml:26:1: and 5 more from here on")) << message;
}

TEST(ConfigMistakes, AreServicesBeyondTheLastId)
{
    std::string text = gate;
    for (int port = 1; port <= 255; port++)
        text += "[[service]]\nname = \"s" + std::to_string(port) + "\"\nports = [" +
                std::to_string(port) + "]\n";

    EXPECT_TRUE(config::parse_config(text, "t.toml"));
    text += "[[service]]\nname = \"last\"\nports = [256]\n";
    text += "[[service]]\nname = \"beyond\"\nports = [257]\n";
    expect_mistakes(
        {"257 services", text, "t.toml:768:1: service is one too many: expected at most 255"});
}

TEST(ConfigMistakes, AnyPortIsOneServiceAlone)
{
    const std::string any = "[[service]]\nname = \"all\"\nports = \"any\"\n";
    for (const auto &text : {any + service, service + any}) {
        const auto parsed = config::parse_config(text, "t.toml", config::Purpose::replay);

        ASSERT_FALSE(parsed);
        EXPECT_EQ(parsed.error().message, "t.toml:4:1: service stands beside one whose ports are "
                                          "\"any\": expected that one alone");
    }
}

TEST(ConfigMistakes, NeverOverrunTheStack)
{
    const std::string key = "a" + repeated(".a", 100);
    std::string text = "[" + key + "]\n";
    for (int depth = 0; depth < 4; depth++)
        text += key + " = [\n{";
    text += key + " = 1" + repeated("}]", 4) + "\n";

    EXPECT_FALSE(config::parse_config(text, "t.toml"));
    EXPECT_FALSE(config::parse_config("[a" + repeated(".a", 500'000) + "]", "t.toml"));
}

} // namespace
} // namespace tallygate::test
