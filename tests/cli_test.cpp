// The command line without a daemon: options, exit codes, sentences, and streams of calls in the caller, compared with
// libgcrypt. The real program is run, as a user runs it.
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "cli_program.hpp"
#include "vectors/cases.hpp"
#include "vectors/reference.hpp"

namespace yoke::test {
namespace {

using ::testing::Test;

bool says(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

// One sentence, on one line, that begins with the program's name.
void expect_sentence(const Finished& finished, int exit, const std::string& part) {
    EXPECT_EQ(finished.exit, exit) << finished.err;
    EXPECT_TRUE(finished.err.starts_with("yoke: ")) << finished.err;
    EXPECT_EQ(finished.err.find('\n'), finished.err.size() - 1) << finished.err;
    EXPECT_TRUE(says(finished.err, part)) << finished.err << "lacks: " << part;
}

// What libgcrypt makes of it.
std::string expected(std::uint16_t service, std::uint8_t flags, const std::string& key, const void* params,
                     std::size_t params_bytes, const std::string& aux, const std::string& in) {
    const auto bytes_of = [](const std::string& text) {
        const auto* begin = reinterpret_cast<const std::byte*>(text.data());
        return vectors::Bytes(begin, begin + text.size());
    };
    vectors::Case call;
    call.service = service;
    call.flags = static_cast<std::uint8_t>(flags | (params == nullptr ? 0U : YOKE_FLAG_PARAMS));
    call.key = bytes_of(key);
    if (params != nullptr) {
        std::memcpy(call.params.data(), params, params_bytes);
    }
    call.aux = bytes_of(aux);
    call.in = bytes_of(in);
    const auto out = vectors::reference(call);
    EXPECT_TRUE(out) << (out ? "" : out.error());
    return out ? std::string(reinterpret_cast<const char*>(out->data()), out->size()) : std::string();
}

const std::string iv_hex = "fffffffffffffffffffffffffffffff0";  // a counter that runs over in the first piece
const std::string iv_bytes = std::string(15, '\xff') + '\xf0';

class CliUsage : public CliTest {};

TEST_F(CliUsage, VersionAndHelpGoToStandardOutput) {
    const Finished version = yoke({"version", "--json"});
    EXPECT_EQ(version.exit, 0);
    const auto json = nlohmann::json::parse(version.out, nullptr, false);
    EXPECT_EQ(json.value("version", ""), "0.1.0");
    EXPECT_EQ(json.value("abi", 0U), YOKE_ABI_VERSION);

    const Finished help = yoke({"--help"});
    EXPECT_EQ(help.exit, 0);
    EXPECT_TRUE(help.err.empty());
    EXPECT_TRUE(says(
        help.out, "0 ok, 1 failed, 2 usage, 3 daemon not running, 4 no permission, 5 no such object, 130 interrupted"));
    EXPECT_EQ(yoke({"call", "--help"}).exit, 0);
}

TEST_F(CliUsage, UnknownOptionsAndMissingCommandsAreUsage) {
    expect_sentence(yoke({}), 2, "yoke needs a command; see yoke --help");
    expect_sentence(yoke({"fly"}), 2, "there is no command yoke fly; see yoke --help");
    expect_sentence(yoke({"status", "--wings"}), 2, "--wings; see yoke status --help");
    expect_sentence(yoke({"graph", "start", "x", "--wings"}), 2, "--wings; see yoke graph start --help");
    expect_sentence(yoke({"graph", "fly"}), 2, "there is no command yoke graph fly; see yoke graph --help");
    expect_sentence(yoke({"graph", "stop"}), 2, "GRAPH is required; see yoke graph stop --help");
    expect_sentence(yoke({"pull", "/g/c", "-n", "-1"}), 2, "-1 is no number of datablocks");
    expect_sentence(yoke({"ls", "horses"}), 2, "there is no kind horses; there are workers");
    expect_sentence(yoke({"call", "echo", "--place", "moon"}), 2, "moon");
    expect_sentence(yoke({"graph"}), 2, "yoke graph needs a command");
}

TEST_F(CliUsage, OptionsAreCheckedAgainstTheService) {
    const std::string key = write("key", std::string(32, 'k'));
    expect_sentence(yoke({"call", "aes-xts"}), 2, "--key-file");
    expect_sentence(yoke({"call", "aes-cbc", "--key-file", key}), 2, "--iv");
    expect_sentence(yoke({"call", "sha256", "--unit", "512"}), 2, "--unit is for aes-xts");
    expect_sentence(yoke({"call", "echo", "--decrypt"}), 2, "--decrypt is for the aes services");
    expect_sentence(yoke({"call", "aes-xts", "--key-file", key, "--unit", "8"}), 2, "--unit 8");
    expect_sentence(yoke({"call", "aes-xts", "--key-file", key, "--start", "one"}), 2, "one is not a number");
    expect_sentence(yoke({"call", "aes-ctr", "--key-file", key, "--iv", "00"}), 2, "--iv has 1 byte;");
    expect_sentence(yoke({"call", "aes-ctr", "--key-file", key, "--iv", "xy"}), 2, "hexadecimal");
    expect_sentence(yoke({"call", "aes-gcm", "--key-file", key, "--iv", "00", "--tag-length", "5"}), 2,
                    "--tag-length 5");
    expect_sentence(yoke({"call", "sha256", "--message", "0"}), 2, "--message 0");
    expect_sentence(yoke({"call", "aes-ecb", "--key-file", "-"}), 2, "standard input");
    expect_sentence(yoke({"call", "des"}), 5, "there is no service des; there are aes-cbc");
}

TEST_F(CliUsage, WithoutADaemonTheExitCodeIsThree) {
    for (const std::vector<std::string>& arguments : {std::vector<std::string>{"status"},
                                                      {"ls"},
                                                      {"ls", "graphs", "--json"},
                                                      {"shutdown"},
                                                      {"graph", "stop", "/depth"}}) {
        const Finished finished = yoke(arguments);
        expect_sentence(finished, 3, "yoked is not running");
        EXPECT_TRUE(finished.out.empty());
    }
    expect_sentence(yoke({"--socket", path("nowhere"), "status"}), 3, path("nowhere"));
}

TEST_F(CliUsage, ADaemonThatMustNotBeStartedIsSaid) {
    const Finished worker = yoke({"call", "sha256", "--place", "worker"}, "abc");
    EXPECT_EQ(worker.exit, 3) << worker.err;
    EXPECT_TRUE(worker.err.starts_with("yoke: ")) << worker.err;
    EXPECT_TRUE(worker.out.empty());

    const Finished automatic = yoke({"call", "sha256"}, "abc");
    EXPECT_EQ(automatic.exit, 0) << automatic.err;
    EXPECT_TRUE(says(automatic.err, "note: running in this process, because no worker can be had")) << automatic.err;
    EXPECT_EQ(automatic.out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n");
}

TEST_F(CliUsage, DoctorNamesAMissingOpenClPlatform) {
    std::filesystem::create_directory(directory / "no-vendors");
    Invocation run_doctor = command({"doctor", "--json"});
    run_doctor.environment["OCL_ICD_VENDORS"] = path("no-vendors");
    const Finished finished = run(run_doctor);
    EXPECT_EQ(finished.exit, 1);
    const auto json = nlohmann::json::parse(finished.out, nullptr, false);
    ASSERT_TRUE(json.is_object()) << finished.out;
    EXPECT_FALSE(json.value("usable", true));
    bool found = false;
    for (const auto& check : json["checks"]) {
        if (check["name"] == "opencl") {
            found = true;
            EXPECT_EQ(check["verdict"], "missing");
            EXPECT_TRUE(says(check["remedy"], "pocl-opencl-icd"));
        }
        if (check["name"] == "yoked" || check["name"] == "memfd" || check["name"] == "pidfd") {
            EXPECT_EQ(check["verdict"], "ok") << check;
            EXPECT_TRUE(check["remedy"].is_null()) << check;
        }
    }
    EXPECT_TRUE(found);
}

TEST_F(CliUsage, DoctorSaysThatNoDaemonMayBeStarted) {
    const Finished finished = yoke({"doctor", "-H"});
    EXPECT_EQ(finished.exit, 1);
    EXPECT_TRUE(says(finished.out, "daemon\tmissing\tnone runs, and YOKE_AUTOSTART=0 forbids")) << finished.out;
}

TEST_F(CliUsage, ASetuidProgramListensToNoEnvironment) {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "LeakSanitizer fails in a setuid process, which nothing may look into";
#endif
    constexpr uid_t owner = 65534;
    constexpr uid_t caller = 65533;
    struct statvfs place {};
    if (::geteuid() != 0 || ::statvfs(directory.c_str(), &place) != 0 || (place.f_flag & ST_NOSUID) != 0) {
        GTEST_SKIP() << "needs root, and a temporary directory where setuid counts";
    }
    if (std::filesystem::exists("/run/yoke/yoke.sock")) {
        GTEST_SKIP() << "a system instance runs here and would be used";
    }
    std::filesystem::permissions(directory, std::filesystem::perms::all);
    const std::string program = path("yoke-setuid");
    std::filesystem::copy_file(std::string(YOKE_BIN_DIR) + "/yoke", program);
    ASSERT_EQ(::chown(program.c_str(), owner, owner), 0);
    ASSERT_EQ(::chmod(program.c_str(), 04755), 0);
    Invocation made = command({"call", "echo", "--place", "worker"});
    made.arguments[0] = program;
    made.environment.erase("YOKE_AUTOSTART");
    made.in_child = [] {
        if (::setgid(caller) != 0 || ::setuid(caller) != 0) {
            ::_exit(99);
        }
    };
    const Finished finished = run(made);
    if (finished.exit == 127) {
        GTEST_SKIP() << "other users cannot load libyoke from " << YOKE_BIN_DIR;
    }
    expect_sentence(finished, 3, "/run/yoke/yoke.sock, and a setuid program uses no other");
    EXPECT_FALSE(says(finished.err, path("run")));
}

class CliCall : public CliTest {
   protected:
    // Runs a service in the caller, from a pipe with short reads.
    Finished call(std::vector<std::string> arguments, const std::string& input) const {
        arguments.insert(arguments.begin(), {"call"});
        arguments.insert(arguments.end(), {"--place", "caller"});
        return yoke(arguments, input);
    }
};

TEST_F(CliCall, HashesLikeSha256sum) {
    EXPECT_EQ(call({"sha256"}, "").out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n");
    const std::string file = write("data", random_text(3'000'001, 1));
    yoke_params_sha256 params{};
    const std::string digest = expected(YOKE_SERVICE_SHA256, 0, "", &params, sizeof params, "", read("data"));
    const Finished finished = call({"sha256", "--binary", "-i", file, "-o", path("digest")}, "");
    EXPECT_EQ(finished.exit, 0) << finished.err;
    EXPECT_EQ(read("digest"), digest);
    EXPECT_EQ(call({"sha256", "--binary"}, read("data")).out, digest);
}

TEST_F(CliCall, HashesManyMessages) {
    const std::string data = random_text(1000 * 2500, 2);
    yoke_params_sha256 params{};
    params.message = 1000;
    EXPECT_EQ(call({"sha256", "--message", "1000", "--binary"}, data).out,
              expected(YOKE_SERVICE_SHA256, 0, "", &params, sizeof params, "", data));
    expect_sentence(call({"sha256", "--message", "999"}, data), 1, "2500000 bytes");
}

TEST_F(CliCall, XtsCountsUnitsThroughAllPieces) {
    const std::string key_bytes = random_text(64, 3);
    const std::string key = write("key", key_bytes);
    const std::string data = random_text(5'000'017, 4);  // a partial last unit, and far more than a piece
    for (const std::uint32_t unit : {512U, 520U, 4096U}) {
        yoke_params_aes_xts params{};
        std::memset(params.start, 0xff, 8);  // the units run over 64 bits
        params.unit = unit;
        const std::string wanted = expected(YOKE_SERVICE_AES_XTS, 0, key_bytes, &params, sizeof params, "", data);
        const std::vector<std::string> arguments{"aes-xts", "--key-file",        key, "--unit", std::to_string(unit),
                                                 "--start", "0xffffffffffffffff"};
        const Finished encrypted = call(arguments, data);
        ASSERT_EQ(encrypted.exit, 0) << encrypted.err;
        EXPECT_EQ(encrypted.out, wanted) << unit;
        auto decrypt = arguments;
        decrypt.emplace_back("--decrypt");
        EXPECT_EQ(call(decrypt, wanted).out, data) << unit;
    }
}

TEST_F(CliCall, CbcCtrAndEcbChainThroughAllPieces) {
    const std::string key_bytes = random_text(32, 5);
    const std::string key = write("key", key_bytes);
    const std::string data = random_text(3'000'000 / 16 * 16, 6);
    yoke_params_aes_iv params{};
    std::memcpy(params.iv, iv_bytes.data(), iv_bytes.size());
    struct Mode {
        const char* name;
        std::uint16_t service;
        bool iv;
        std::string data;
    };
    for (const Mode& mode :
         {Mode{"aes-cbc", YOKE_SERVICE_AES_CBC, true, data}, Mode{"aes-ecb", YOKE_SERVICE_AES_ECB, false, data},
          Mode{"aes-ctr", YOKE_SERVICE_AES_CTR, true, data + "tail"}}) {
        const std::string wanted =
            expected(mode.service, 0, key_bytes, mode.iv ? &params : nullptr, sizeof params, "", mode.data);
        std::vector<std::string> arguments{mode.name, "--key-file", key};
        if (mode.iv) {
            arguments.insert(arguments.end(), {"--iv", iv_hex});
        }
        const Finished encrypted = call(arguments, mode.data);
        ASSERT_EQ(encrypted.exit, 0) << encrypted.err;
        EXPECT_TRUE(encrypted.out == wanted) << mode.name;
        arguments.emplace_back("--decrypt");
        EXPECT_TRUE(call(arguments, wanted).out == mode.data) << mode.name;
    }
}

TEST_F(CliCall, GcmIsOneCallAndWritesNothingUnchecked) {
    const std::string key_bytes = random_text(16, 7);
    const std::string key = write("key", key_bytes);
    const std::string aad = write("aad", "who and when");
    const std::string data = random_text(2'500'000, 8);
    yoke_params_aes_gcm params{};
    params.iv_length = 12;
    params.aad_length = 12;
    params.tag_length = 12;
    const std::string wanted = expected(YOKE_SERVICE_AES_GCM, 0, key_bytes, &params, sizeof params,
                                        std::string(12, '\x01') + "who and when", data);
    const std::vector<std::string> arguments{
        "aes-gcm", "--key-file", key, "--iv", "010101010101010101010101", "--aad-file", aad, "--tag-length", "12"};
    ASSERT_TRUE(call(arguments, data).out == wanted);
    auto decrypt = arguments;
    decrypt.insert(decrypt.end(), {"--decrypt", "-o", path("plain")});
    EXPECT_EQ(call(decrypt, wanted).exit, 0);
    EXPECT_TRUE(read("plain") == data);

    std::string forged = wanted;
    forged[1'000'000] = static_cast<char>(forged[1'000'000] ^ 1);
    expect_sentence(call(decrypt, forged), 1, "authentication failed");
    EXPECT_TRUE(read("plain") == data) << "a failed decryption replaced the file";
    expect_sentence(call(decrypt, "short"), 1, "less than its tag");
}

TEST_F(CliCall, EmptyStreamsGiveEmptyResults) {
    const std::string key = write("key", random_text(32, 9));
    const Finished ecb = call({"aes-ecb", "--key-file", key}, "");
    EXPECT_EQ(ecb.exit, 0) << ecb.err;
    EXPECT_TRUE(ecb.out.empty());
    EXPECT_EQ(call({"aes-gcm", "--key-file", key, "--iv", "00"}, "").out.size(), 16U);
}

TEST_F(CliCall, LengthsThatTheServiceCannotTakeAreExplained) {
    const std::string key = write("key", random_text(32, 10));
    expect_sentence(call({"aes-ecb", "--key-file", key, "-o", path("out")}, random_text(2'000'001, 11)), 1,
                    "2000001 bytes");
    expect_sentence(call({"aes-xts", "--key-file", key, "-o", path("out")}, random_text(2 * 512 + 5, 12)), 1,
                    "last data unit would have 5");
    EXPECT_EQ(files(), (std::set<std::string>{"key"}));
}

TEST_F(CliCall, KeysAreCheckedAndNamed) {
    const std::string data = write("data", "0123456789abcdef");
    expect_sentence(call({"aes-xts", "--key-file", write("k20", std::string(20, 'x')), "-i", data}, ""), 1,
                    "k20 has 20 bytes; aes-xts takes 32 or 64");
    expect_sentence(call({"aes-ecb", "--key-file", write("k64", std::string(64, 'x')), "-i", data}, ""), 1,
                    "aes-ecb takes 16 or 32");
    expect_sentence(call({"aes-ecb", "--key-file", write("k65", std::string(65, 'x')), "-i", data}, ""), 1,
                    "longer than 64 bytes");
    expect_sentence(call({"aes-ecb", "--key-file", path("none"), "-i", data}, ""), 1, "No such file");
    expect_sentence(call({"sha256", "-i", path("none")}, ""), 1, "none: No such file or directory; name a file");
    expect_sentence(call({"aes-xts", "--key-file", write("equal", std::string(64, 'x')), "-i", data}, ""), 1, "halves");
    // From the standard input, when that holds no data.
    const std::string key(16, 'x');
    EXPECT_EQ(call({"aes-ecb", "--key-file", "-", "-i", data}, key).out,
              expected(YOKE_SERVICE_AES_ECB, 0, key, nullptr, 0, "", "0123456789abcdef"));
}

TEST_F(CliCall, AKeyThatEverybodyCanReadIsWarnedAbout) {
    const std::string key = write("key", random_text(32, 13));
    ::chmod(key.c_str(), 0644);
    const Finished finished = call({"aes-ecb", "--key-file", key}, "0123456789abcdef");
    EXPECT_EQ(finished.exit, 0);
    EXPECT_TRUE(says(finished.err, "warning: everybody on this machine can read key file " + key)) << finished.err;
    ::chmod(key.c_str(), 0600);
    EXPECT_TRUE(call({"aes-ecb", "--key-file", key}, "0123456789abcdef").err.empty());
}

TEST_F(CliCall, OutputIsReplacedWholeOrNotAtAll) {
    const std::string key = write("key", random_text(32, 14));
    const std::string file = write("data", random_text(4096, 15));
    ::chmod(file.c_str(), 0640);
    // In place: the input is read to its end before the output takes its name.
    EXPECT_EQ(call({"aes-ecb", "--key-file", key, "-i", file, "-o", file}, "").exit, 0);
    struct stat status {};
    ASSERT_EQ(::stat(file.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0640U);
    EXPECT_EQ(status.st_size, 4096);
    EXPECT_NE(read("data"), random_text(4096, 15));
    EXPECT_EQ(call({"aes-ecb", "--decrypt", "--key-file", key, "-i", file, "-o", file}, "").exit, 0);
    EXPECT_EQ(read("data"), random_text(4096, 15));

    std::filesystem::create_symlink("data", path("link"));
    EXPECT_EQ(call({"echo", "-o", path("link")}, "through the link").exit, 0);
    EXPECT_TRUE(std::filesystem::is_symlink(path("link")));
    EXPECT_EQ(read("data"), "through the link");
    EXPECT_EQ(call({"echo", "-o", "/dev/null"}, "x").exit, 0);
    EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
    EXPECT_EQ(files(), (std::set<std::string>{"data", "key", "link"}));
}

TEST_F(CliCall, FilesThatCannotBeUsedAreNamed) {
    expect_sentence(call({"echo", "-i", path("missing")}, ""), 1, path("missing"));
    expect_sentence(call({"echo", "-i", directory.string()}, ""), 1, "is a directory");
    expect_sentence(call({"echo", "-o", directory.string()}, ""), 1, "is a directory");
    expect_sentence(call({"echo", "-o", path("no/where")}, ""), 1, path("no/where"));
}

TEST_F(CliCall, NoPermissionIsFour) {
    const std::string file = write("data", "x");
    ::chmod(file.c_str(), 0);
    Invocation without_power = command({"call", "echo", "-i", file, "--place", "caller"});
    // For root: may no longer read what the mode forbids.
    without_power.in_child = [] {
        ::prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0);
        ::prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH, 0, 0, 0);
    };
    expect_sentence(run(without_power), 4, file);
}

TEST_F(CliCall, BinaryResultsDoNotGoToATerminal) {
    const int controller = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    ASSERT_GE(controller, 0);
    ASSERT_EQ(::grantpt(controller), 0);
    ASSERT_EQ(::unlockpt(controller), 0);
    std::array<char, 128> name{};
    ASSERT_EQ(::ptsname_r(controller, name.data(), name.size()), 0);
    const int terminal = ::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC);
    ASSERT_GE(terminal, 0);
    Invocation to_terminal = command({"call", "echo", "--place", "caller"});
    to_terminal.output_fd = terminal;
    expect_sentence(run(to_terminal), 2, "terminal");
    to_terminal = command({"call", "sha256", "--place", "caller"});
    to_terminal.output_fd = terminal;
    EXPECT_EQ(run(to_terminal).exit, 0);
    ::close(terminal);
    ::close(controller);
}

TEST_F(CliCall, AnInterruptLeavesNothingBehind) {
    Invocation endless = command({"call", "echo", "--place", "caller", "-o", path("out")});
    endless.input = random_text(3'000'000, 16);
    endless.hold_input = true;
    endless.while_running = [&](pid_t pid) {
        ASSERT_TRUE(writes_file(pid));
        ::kill(pid, SIGINT);
    };
    const Finished finished = run(endless);
    expect_sentence(finished, 130, "interrupted");
    EXPECT_TRUE(files().empty());
}

// Whatever ends it, from a terminal that goes to a kill that nothing can see coming.
TEST_F(CliCall, NoSignalLeavesAFileBehind) {
    write("out", "what was there");
    for (const int number : {SIGHUP, SIGTERM, SIGQUIT, SIGKILL}) {
        Invocation endless = command({"call", "echo", "--place", "caller", "-o", path("out")});
        endless.input = random_text(3'000'000, 16);
        endless.hold_input = true;
        endless.while_running = [&](pid_t pid) {
            ASSERT_TRUE(writes_file(pid));
            ::kill(pid, number);
        };
        const Finished finished = run(endless);
        if (number == SIGHUP || number == SIGTERM) {
            expect_sentence(finished, 130, "interrupted");
        }
        EXPECT_EQ(files(), std::set<std::string>{"out"}) << "signal " << number;
        EXPECT_EQ(read("out"), "what was there");
    }
    EXPECT_EQ(yoke({"call", "echo", "--place", "caller", "-o", path("out")}, "new").exit, 0);
    EXPECT_EQ(files(), std::set<std::string>{"out"});
    EXPECT_EQ(read("out"), "new");
}

TEST_F(CliCall, AnInterruptThatComesTwiceAtOnceIsOne) {
    Invocation endless = command({"call", "echo", "--place", "caller", "-o", path("out")});
    endless.input = random_text(3'000'000, 18);
    endless.hold_input = true;
    endless.while_running = [&](pid_t pid) {
        ASSERT_TRUE(writes_file(pid));
        ::kill(pid, SIGTERM);
        ::kill(pid, SIGTERM);
        ::kill(pid, SIGINT);
    };
    expect_sentence(run(endless), 130, "interrupted");
    EXPECT_TRUE(files().empty());
}

TEST_F(CliCall, StandardStreamsThatAreClosedAreNotTakenForFiles) {
    const std::string in = write("in", "some text");
    Invocation mute = command({"call", "echo", "--place", "caller", "-i", in});
    mute.in_child = [] { ::close(STDOUT_FILENO); };
    expect_sentence(run(mute), 1, "standard output");
    EXPECT_EQ(read("in"), "some text");
    Invocation deaf = command({"call", "echo", "--place", "caller", "-o", path("out")});
    deaf.in_child = [] { ::close(STDIN_FILENO); };
    expect_sentence(run(deaf), 1, "standard input");
    EXPECT_EQ(files(), std::set<std::string>{"in"});
    Invocation silent = command({"call", "echo", "--place", "caller", "-i", in, "--json"});
    silent.in_child = [] { ::close(STDERR_FILENO); };
    const Finished finished = run(silent);
    EXPECT_EQ(finished.exit, 0);
    EXPECT_EQ(finished.out, "some text");
    Invocation version = command({"version"});
    version.in_child = [] { ::close(STDOUT_FILENO); };
    expect_sentence(run(version), 1, "standard output");
}

TEST_F(CliCall, TheSummaryIsJsonOnStandardError) {
    const Finished finished = call({"echo", "--json"}, random_text(2'500'000, 17));
    EXPECT_EQ(finished.out.size(), 2'500'000U);
    const auto json = nlohmann::json::parse(finished.err, nullptr, false);
    ASSERT_TRUE(json.is_object()) << finished.err;
    EXPECT_EQ(json["calls"], 3);
    EXPECT_EQ(json["in_bytes"], 2'500'000);
    EXPECT_EQ(json["places"][0]["where"], "caller");
    EXPECT_EQ(json["places"][0]["calls"], 3);
}

}  // namespace
}  // namespace yoke::test
