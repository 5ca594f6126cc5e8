// SPDX-License-Identifier: BSD-2-Clause
//
// Reading from disk: what is no readable file of a sane size is told with its path.
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

#include "config/config_toml.hpp"
#include "config/texts.hpp"

namespace tallygate::test {
namespace {

class ConfigFile : public testing::Test {
protected:
    ConfigFile()
    {
        std::string pattern = testing::TempDir() + "tallygate-config-XXXXXX";
        EXPECT_NE(mkdtemp(pattern.data()), nullptr);
        dir_ = pattern;
    }
    ~ConfigFile() override { std::filesystem::remove_all(dir_); }

    std::string path(const std::string &name) const { return dir_ + "/" + name; }
    std::string write(const std::string &text) const
    {
        std::ofstream{path("t.toml"), std::ios::binary} << text;
        return path("t.toml");
    }

private:
    std::string dir_;
};

TEST_F(ConfigFile, IsRead)
{
    const auto loaded = config::load_config(write(after("")));
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_EQ(loaded->file, path("t.toml"));
    EXPECT_EQ(loaded->services[0].name, "smtp");
}

TEST_F(ConfigFile, NamesItsPathInMistakes)
{
    const auto loaded = config::load_config(write(gate));
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().message,
              path("t.toml") + ":1:1: no service is named: expected at least one [[service]]");
}

TEST_F(ConfigFile, ThatIsMissingIsToldWithTheReason)
{
    const auto loaded = config::load_config(path("none.toml"));
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().message, "read " + path("none.toml") + ": No such file or directory");
    EXPECT_EQ(loaded.error().code, ENOENT);
}

TEST_F(ConfigFile, ThatIsADirectoryIsTold)
{
    const auto loaded = config::load_config(path("."));
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().message, "read " + path(".") + ": Is a directory");
}

TEST_F(ConfigFile, MayBeAMebibyteAndNoMore)
{
    std::string text = after("");
    while (text.size() + 64 <= config::file_bytes_max)
        text += std::string(63, '#') + "\n";
    text.resize(config::file_bytes_max, '#');
    EXPECT_TRUE(config::load_config(write(text)));

    const auto loaded = config::load_config(write(text + "#"));
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().message,
              "read " + path("t.toml") + ": larger than a configuration may be, 1048576 bytes");
}

TEST_F(ConfigFile, ThatIsBinaryIsTold)
{
    const auto loaded = config::load_config(write(std::string("\x7f"
                                                              "ELF\0",
                                                              5)));
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().message, path("t.toml") + ":1:5: the file is binary: expected TOML");
}

// clang-format off
const struct {
    const char *name;
    const char *text;
    const char *expected; ///< the directory, or what follows the path in the message
} pin_dir_rows[] = {
    {"given", "[gate]\npin_dir = \"/sys/fs/bpf/two\"", "/sys/fs/bpf/two"},
    {"given beside mistakes",
     "colour = 1\n[gate]\npin_dir = \"/sys/fs/bpf/two\"\nmode = 7\n[[limit]]",
     "/sys/fs/bpf/two"},
    {"left out", "[gate]", "/sys/fs/bpf/tallygate"},
    {"no section", "", "/sys/fs/bpf/tallygate"},
    {"relative", "[gate]\npin_dir = \"two\"",
     ":2:11: gate.pin_dir is \"two\": expected an absolute path of at most 4095 bytes"},
    {"of the wrong type", "[gate]\npin_dir = 2",
     ":2:11: gate.pin_dir is 2: expected an absolute path of at most 4095 bytes"},
    {"a gate that is no section", "gate = 2", ":1:8: gate is 2: expected [gate]"},
    {"given before what is no TOML", "[gate]\npin_dir = \"/sys/fs/bpf/two\"\n[[service\n",
     "/sys/fs/bpf/two"},
    {"given before a list that does not end",
     "[gate]\npin_dir = \"/sys/fs/bpf/two\"\n[[service]]\nports = [\n25\n", "/sys/fs/bpf/two"},
    {"given before what is no text",
     "[gate]\npin_dir = \"/sys/fs/bpf/two\"\n[[block]]\nreason = ä\n", "/sys/fs/bpf/two"},
    {"wrong before what is no TOML", "[gate]\npin_dir = \"two\"\n[[service\n",
     ":2:11: gate.pin_dir is \"two\": expected an absolute path of at most 4095 bytes"},
    {"given behind what is no TOML", "[limit\n[gate]\npin_dir = \"/sys/fs/bpf/two\"",
     ":1:7: not valid TOML: Error while parsing table header: expected ']', saw '\\n'"},
    {"given in a line that is no TOML", "[gate]\npin_dir = \"/sys/fs/bpf/two\" x",
     ":2:29: not valid TOML: Error while parsing key-value pair: "
     "expected a comment or whitespace, saw 'x'"},
    {"no TOML", "[gate",
     ":1:6: not valid TOML: Error while parsing table header: encountered end-of-file"},
};
// clang-format on

TEST_F(ConfigFile, GivesThePinDirAlone)
{
    for (const auto &row : pin_dir_rows) {
        SCOPED_TRACE(row.name);
        const auto file = write(row.text);
        const auto loaded = config::load_pin_dir(file);
        const bool is_message = row.expected[0] == ':';
        ASSERT_EQ(static_cast<bool>(loaded), !is_message);
        EXPECT_EQ(loaded ? *loaded : loaded.error().message,
                  (is_message ? file : "") + row.expected);
    }
}

} // namespace
} // namespace tallygate::test
